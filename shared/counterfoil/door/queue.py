"""The commands that wait, and the choice of the next batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from counterfoil.core.refusals import Busy, Overloaded, Unavailable
from counterfoil.door.batch import Batch, QueuedCommand, shared_by

BATCH_LIMIT: Final = 256
PATIENCE_SECONDS: Final = 10.0
"""How long a command waits for the database before its caller gets Overloaded or Busy."""
_LOOK_SECONDS: Final = 0.25


class Queue:
    """The commands that are in no batch. Most wait for the next batch; some wait alone for a row that is locked.

    Commands of one lane are in one batch at a time: a later command of the lane waits until that batch is done.
    """

    def __init__(self) -> None:
        self._queue: deque[QueuedCommand] = deque()
        self._alone: dict[object, list[QueuedCommand]] = {}
        self._busy: set[object] = set()
        self._news = asyncio.Event()

    def __len__(self) -> int:
        """How many commands wait for a batch."""
        return len(self._queue)

    @property
    def over(self) -> bool:
        """Whether no command waits, and no batch runs that could return commands."""
        return not (self._queue or self._alone or self._busy)

    def join(self, command: QueuedCommand) -> None:
        """Let a command wait for the next batch."""
        self._queue.append(command)
        self._news.set()

    def pick(self) -> Batch | None:
        """Return the next batch; its lanes are busy until it is `done`."""
        picked: list[QueuedCommand] = []
        left: list[QueuedCommand] = []
        while self._queue and len(picked) < BATCH_LIMIT:
            command = self._queue.popleft()
            busy = command.lane in self._busy or command.lane in self._alone
            fits = not picked or shared_by(command.command) == shared_by(picked[0].command)
            (picked if fits and not busy else left).append(command)
        self._queue.extendleft(reversed(left))
        self._busy.update(command.lane for command in picked)
        return Batch(picked) if picked else None

    def pick_alone(self) -> Batch | None:
        """Return a batch of commands that wait for one locked row, apart from the others so that only these wait."""
        lane = next((lane for lane in self._alone if lane not in self._busy), None)
        if lane is None:
            return None
        self._busy.add(lane)
        return Batch(self._alone.pop(lane), patience="")

    def done(self, batch: Batch) -> None:
        """Free the lanes of a batch."""
        self._busy.difference_update(command.lane for command in batch.queued)
        self._news.set()

    def requeue(self, commands: Sequence[QueuedCommand]) -> None:
        """Put commands back at the head of the queue, and refuse those that have waited too long."""
        self._queue.extendleft(reversed(_patient(commands, Overloaded)))
        self._news.set()

    def set_aside(self, command: QueuedCommand) -> None:
        """Let a command wait for its row apart from the batches."""
        self._alone.setdefault(command.lane, []).append(command)
        self._news.set()

    def wake(self) -> None:
        """Wake every task that waits in `news`."""
        self._news.set()

    async def news(self) -> None:
        """Return when the queue has changed, so that there may be something to pick."""
        self._news.clear()
        await self._news.wait()

    async def watch(self) -> None:
        """Refuse commands that have waited too long, also while every connection hangs; never return."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._queue = deque(_patient(self._queue, Overloaded))
            alone = {lane: _patient(commands, Busy) for lane, commands in self._alone.items()}
            self._alone = {lane: commands for lane, commands in alone.items() if commands}


def refuse(commands: Iterable[QueuedCommand], error: Exception) -> None:
    """Answer these commands with an error, unless they have an answer."""
    for command in commands:
        if not command.future.done():
            command.future.set_exception(error)


def _patient(commands: Iterable[QueuedCommand], refusal: type[Unavailable]) -> list[QueuedCommand]:
    """Refuse the commands that have waited longer than PATIENCE_SECONDS, and return the others."""
    late = asyncio.get_running_loop().time() - PATIENCE_SECONDS
    refuse((command for command in commands if command.since < late), refusal())
    return [command for command in commands if command.since >= late]
