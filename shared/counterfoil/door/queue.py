"""Who waits at the door, and which of them may go next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from counterfoil.core.refusals import Busy, Overloaded, Unavailable
from counterfoil.door.batch import Batch, QueuedCommand

BATCH_LIMIT: Final = 256
PATIENCE_SECONDS: Final = 10.0
"""How long a command may wait for the database before it is told to come again."""
_LOOK_SECONDS: Final = 0.25


class Queue:
    """The jobs that are in no batch now: most wait for the next one, some alone for a row that others hold.

    A lane is in one batch at a time; what joins it meanwhile waits for the outcome.
    """

    def __init__(self) -> None:
        self._queue: deque[QueuedCommand] = deque()
        self._alone: dict[object, list[QueuedCommand]] = {}
        self._busy: set[object] = set()
        self._news = asyncio.Event()

    def __len__(self) -> int:
        """How many wait for a batch."""
        return len(self._queue)

    @property
    def over(self) -> bool:
        """Whether nobody waits, and nobody may come back from a batch."""
        return not (self._queue or self._alone or self._busy)

    def join(self, job: QueuedCommand) -> None:
        """Let a job wait for the next batch."""
        self._queue.append(job)
        self._news.set()

    def pick(self) -> Batch | None:
        """Return the next batch; its lanes are busy until it is `done`."""
        picked: list[QueuedCommand] = []
        left: list[QueuedCommand] = []
        while self._queue and len(picked) < BATCH_LIMIT:
            job = self._queue.popleft()
            (left if job.lane in self._busy or job.lane in self._alone else picked).append(job)
        self._queue.extendleft(reversed(left))
        self._busy.update(job.lane for job in picked)
        return Batch(picked) if picked else None

    def pick_alone(self) -> Batch | None:
        """Return jobs that wait for one row outside the batches, which would otherwise all wait with them."""
        lane = next((lane for lane in self._alone if lane not in self._busy), None)
        if lane is None:
            return None
        self._busy.add(lane)
        return Batch(self._alone.pop(lane), patience="")

    def done(self, batch: Batch) -> None:
        """Free the lanes of a batch."""
        self._busy.difference_update(job.lane for job in batch.jobs)
        self._news.set()

    def ride_again(self, jobs: Sequence[QueuedCommand]) -> None:
        """Put jobs back to the head of the queue, except those that waited too long."""
        self._queue.extendleft(reversed(_patient(jobs, Overloaded)))
        self._news.set()

    def stand_aside(self, job: QueuedCommand) -> None:
        """Let a job wait for its row alone."""
        self._alone.setdefault(job.lane, []).append(job)
        self._news.set()

    def wake(self) -> None:
        """Let everybody who waits for news look again."""
        self._news.set()

    async def news(self) -> None:
        """Return when there may be something to pick that was not there before."""
        self._news.clear()
        await self._news.wait()

    async def watch(self) -> None:
        """Answer, for ever, those who waited too long: also while every line to the database is stuck."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._queue = deque(_patient(self._queue, Overloaded))
            alone = {lane: _patient(jobs, Busy) for lane, jobs in self._alone.items()}
            self._alone = {lane: jobs for lane, jobs in alone.items() if jobs}


def refuse(jobs: Iterable[QueuedCommand], error: Exception) -> None:
    """Answer these jobs with an error, unless they have an answer."""
    for job in jobs:
        if not job.future.done():
            job.future.set_exception(error)


def _patient(jobs: Iterable[QueuedCommand], refusal: type[Unavailable]) -> list[QueuedCommand]:
    """Refuse the jobs that waited too long already, and return the others."""
    late = asyncio.get_running_loop().time() - PATIENCE_SECONDS
    refuse((job for job in jobs if job.since < late), refusal())
    return [job for job in jobs if job.since >= late]
