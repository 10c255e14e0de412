"""Who reads what is not their own is noted: reading the log before it is answered, the rest within a second or so.

Lists and look-ups are counted in memory and written through the door, one event a reader: the first a second after
somebody began to read, the next ones after ever longer pauses while they go on without a break. A crash loses at most
the counts since the last of these events: the last second's, or the last minute's of somebody who never stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

import structlog

from counterfoil.core.principal import Principal
from counterfoil.core.subjects.access import LogRange, What, WhichLog
from counterfoil.uses.log_access import LogReads
from counterfoil.uses.noted_access import Doorway, Noted, Reader, write
from counterfoil.uses.repeating import Repeating

log = structlog.get_logger()

PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Pace:
    """When the next event about a reader may be written; times are seconds on the event loop's clock."""

    due: float
    pause: float


class AccessLog:
    """Notes reads: `async with Witness(door) as witness`, then `witness.note(…)` or `await witness.tell(…)`."""

    def __init__(self, door: Doorway, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._door = door
        self._pause = pause_seconds
        self._noted: dict[Reader, Noted] = {}
        self._paces: dict[Reader, _Pace] = {}
        self._log = LogReads(door)
        self._writing = Repeating(self._write_due, seconds=pause_seconds / 4, complaint="reads_not_written")

    async def __aenter__(self) -> Self:
        self._writing.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._writing.stop()
        await self.flush()
        await self._log.finish()

    def note(self, asker: Principal, what: What, *, shown: int, tokens: tuple[UUID, ...] = ()) -> None:
        """Count a read; an event will say so soon."""
        reader, now = (asker.account, asker.actor), asyncio.get_running_loop().time()
        self._noted.setdefault(reader, Noted(now)).add(_noted({what: 1}, shown, tokens))
        self._paces.setdefault(reader, _Pace(now + self._pause, self._pause))

    async def tell(self, asker: Principal, what: What, *, shown: int, tokens: tuple[UUID, ...] = ()) -> None:
        """Have a read in the log before it is answered: what cannot be logged is not shown."""
        await write(self._door, (asker.account, asker.actor), _noted({what: 1}, shown, tokens))

    async def tell_log(
        self, asker: Principal, *, first: int, last: int, shown: int = 0, filters: Collection[str] = (),
        tokens: tuple[UUID, ...] = (), whole: bool = False,
    ) -> None:  # fmt: skip
        """Return once an event of the last hour says that this caller reads the log; without it nothing is shown.

        `filters` are the names of those that the call uses, `tokens` those that it asks for by name. With `whole` the
        positions are those of all accounts' log.
        """
        noted = _noted({_which(whole): 1}, shown, tokens)
        noted.log = LogRange(first=first, last=last, filters=dict.fromkeys(filters, 1) or {"none": 1})
        await self._log.tell(((asker.account, asker.actor), _which(whole)), noted)

    def note_log(self, asker: Principal, *, first: int, last: int, shown: int, whole: bool = False) -> None:
        """Count what a call of which `tell_log` was told has shown since; the next event says so."""
        noted = _noted({_which(whole): 0}, shown, ())
        noted.log = LogRange(first=first, last=last)
        self._log.note(((asker.account, asker.actor), _which(whole)), noted)

    async def flush(self) -> None:
        """Write all that was noted."""
        await self._write_all(list(self._noted))

    async def _write_due(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [reader for reader, pace in self._paces.items() if pace.due <= now]
        for reader in due:
            self._set_pace(reader, now)
        await self._write_all([reader for reader in due if reader in self._noted])
        await self._log.write_due()

    def _set_pace(self, reader: Reader, now: float) -> None:
        """Who has read again since the last event is written about more seldom; who has not begins anew."""
        pace = self._paces.pop(reader)
        if reader in self._noted:
            longer = min(2 * pace.pause, LONGEST_PAUSE_SECONDS * self._pause)
            self._paces[reader] = _Pace(now + longer, longer)

    async def _write_all(self, readers: list[Reader]) -> None:
        taken = {reader: self._noted.pop(reader) for reader in readers}
        # Together, so that they ride in one batch.
        results = await asyncio.gather(*(write(self._door, *each) for each in taken.items()), return_exceptions=True)
        for (reader, noted), result in zip(taken.items(), results, strict=True):
            if isinstance(result, BaseException):
                self._keep_back(reader, noted)
                log.warning("reads_kept_back", error=type(result).__name__)

    def _keep_back(self, reader: Reader, noted: Noted) -> None:
        self._noted.setdefault(reader, Noted(noted.since)).add(noted)
        self._paces.setdefault(reader, _Pace(asyncio.get_running_loop().time() + self._pause, self._pause))


def _noted(calls: dict[str, int], shown: int, tokens: tuple[UUID, ...]) -> Noted:
    return Noted(asyncio.get_running_loop().time(), calls, shown, dict.fromkeys(tokens))


def _which(whole: bool) -> WhichLog:
    return "whole_log" if whole else "log"
