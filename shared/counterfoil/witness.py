"""Who reads what is not their own is noted: reading the log before it is answered, the rest within a second or so.

Lists and look-ups are counted in memory and written through the door, one event a reader: the first a second after
somebody began to read, the next ones after ever longer pauses while they go on without a break. A crash loses at most
the counts since the last of these events: the last second's, or the last minute's of somebody who never stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol, Self
from uuid import UUID

import structlog

from .fold import Outcome
from .principal import SYSTEM, Actor, Principal
from .repeating import Repeating
from .subjects.reads import NAMED_LIMIT, NoteReads, What, log_of

log = structlog.get_logger()

PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
Reader = tuple[UUID, Actor]
"""Account and who."""


class Doorway(Protocol):
    """The one thing that is asked of the door."""

    async def execute(self, command: NoteReads) -> Outcome: ...


@dataclass(slots=True)
class _Noted:
    """What one reader has read and no event says yet."""

    since: float
    calls: dict[str, int] = field(default_factory=dict)
    shown: int = 0
    tokens: dict[UUID, None] = field(default_factory=dict)

    def add(self, calls: dict[str, int], shown: int, tokens: Iterable[UUID]) -> None:
        for what, count in calls.items():
            self.calls[what] = self.calls.get(what, 0) + count
        self.shown += shown
        self.tokens |= dict.fromkeys(tokens)
        while len(self.tokens) > NAMED_LIMIT:
            self.tokens.popitem()


@dataclass(slots=True)
class _Pace:
    """When the next event about a reader may be written; times are seconds on the event loop's clock."""

    due: float
    pause: float


class Witness:
    """Notes reads: `async with Witness(door) as witness`, then `witness.note(…)` or `await witness.tell(…)`."""

    def __init__(self, door: Doorway, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._door = door
        self._pause = pause_seconds
        self._noted: dict[Reader, _Noted] = {}
        self._paces: dict[Reader, _Pace] = {}
        self._writing = Repeating(self._write_due, seconds=pause_seconds / 4, complaint="reads_not_written")

    async def __aenter__(self) -> Self:
        self._writing.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._writing.stop()
        await self.flush()

    def note(self, asker: Principal, what: What, *, shown: int, tokens: tuple[UUID, ...] = ()) -> None:
        """Count a read; an event will say so soon."""
        reader, now = (asker.account, asker.actor), asyncio.get_running_loop().time()
        self._noted.setdefault(reader, _Noted(now)).add({what: 1}, shown, tokens)
        self._paces.setdefault(reader, _Pace(now + self._pause, self._pause))

    async def tell(self, asker: Principal, what: What, *, shown: int, tokens: tuple[UUID, ...] = ()) -> None:
        """Have a read in the log before it is answered: what cannot be logged is not shown."""
        noted = _Noted(asyncio.get_running_loop().time())
        noted.add({what: 1}, shown, tokens)
        await self._write((asker.account, asker.actor), noted)

    async def flush(self) -> None:
        """Write all that was noted."""
        await self._write_all(list(self._noted))

    async def _write_due(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [reader for reader, pace in self._paces.items() if pace.due <= now]
        for reader in due:
            self._set_pace(reader, now)
        await self._write_all([reader for reader in due if reader in self._noted])

    def _set_pace(self, reader: Reader, now: float) -> None:
        """Who has read again since the last event is written about more seldom; who has not begins anew."""
        pace = self._paces.pop(reader)
        if reader in self._noted:
            longer = min(2 * pace.pause, LONGEST_PAUSE_SECONDS * self._pause)
            self._paces[reader] = _Pace(now + longer, longer)

    async def _write_all(self, readers: list[Reader]) -> None:
        taken = {reader: self._noted.pop(reader) for reader in readers}
        # Together, so that they ride in one batch.
        results = await asyncio.gather(*(self._write(*each) for each in taken.items()), return_exceptions=True)
        for (reader, noted), result in zip(taken.items(), results, strict=True):
            if isinstance(result, BaseException):
                self._keep_back(reader, noted)
                log.warning("reads_kept_back", error=type(result).__name__)

    def _keep_back(self, reader: Reader, noted: _Noted) -> None:
        newer = self._noted.setdefault(reader, _Noted(noted.since))
        newer.since = noted.since
        newer.add(noted.calls, noted.shown, noted.tokens)
        self._paces.setdefault(reader, _Pace(asyncio.get_running_loop().time() + self._pause, self._pause))

    async def _write(self, reader: Reader, noted: _Noted) -> None:
        account, actor = reader
        await self._door.execute(
            NoteReads(
                # By the service, about the reader: who has been ended meanwhile has read all the same.
                account=account, id=log_of(account, actor), by=SYSTEM, reader=actor, calls=noted.calls,
                shown=noted.shown, tokens=tuple(noted.tokens),
                seconds=int(asyncio.get_running_loop().time() - noted.since),
            )
        )  # fmt: skip
