"""Writes events about reads: which caller read tokens of other owners, or the log.

`record` writes the event before the request is answered. `note` counts a read in memory, and one event per reader
follows: the first a second after the first read, further events at growing intervals while the reader continues. A
crash loses the counts since the last event: at most those of a second, or of a minute if the reader never paused.
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
from counterfoil.uses.log_reads import Doorway, LogReads, Reader, Reads, write
from counterfoil.uses.repeating import Repeating

log = structlog.get_logger()

PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Pace:
    """When the next event about a reader is due, and the interval before it; seconds on the event loop's clock."""

    due: float
    pause: float


class AccessLog:
    """Logs reads: `async with AccessLog(door) as log`, then `log.note(…)` or `await log.record(…)`."""

    def __init__(self, door: Doorway, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._door = door
        self._pause = pause_seconds
        self._gathered: dict[Reader, Reads] = {}
        self._paces: dict[Reader, _Pace] = {}
        self._log = LogReads(door)
        self._writing = Repeating(self._write_due, seconds=pause_seconds / 4, failure_event="reads_not_written")

    async def __aenter__(self) -> Self:
        self._writing.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._writing.stop()
        await self.flush()
        await self._log.finish()

    def note(self, caller: Principal, what: What, *, rows: int, tokens: tuple[UUID, ...] = ()) -> None:
        """Count a read; an event about it follows within about a second."""
        reader, now = (caller.account, caller.actor), asyncio.get_running_loop().time()
        self._gathered.setdefault(reader, Reads(now)).add(_reads({what: 1}, rows, tokens))
        self._paces.setdefault(reader, _Pace(now + self._pause, self._pause))

    async def record(self, caller: Principal, what: What, *, rows: int, tokens: tuple[UUID, ...] = ()) -> None:
        """Write the event of a read. Call it before the answer: if it raises, the read must fail."""
        await write(self._door, (caller.account, caller.actor), _reads({what: 1}, rows, tokens))

    async def record_log(
        self, caller: Principal, *, first: int, last: int, rows: int = 0, filters: Collection[str] = (),
        tokens: tuple[UUID, ...] = (), whole: bool = False,
    ) -> None:  # fmt: skip
        """Return once an event of the last hour says that this caller reads the log; if it raises, the read must fail.

        `filters` are the names of the filters of the request, `tokens` the tokens that it names. With `whole` the
        positions are those of the log of all accounts.
        """
        reads = _reads({_which(whole): 1}, rows, tokens)
        reads.log = LogRange(first=first, last=last, filters=dict.fromkeys(filters, 1) or {"none": 1})
        await self._log.record(((caller.account, caller.actor), _which(whole)), reads)

    def note_log(self, caller: Principal, *, first: int, last: int, rows: int, whole: bool = False) -> None:
        """Count the rows that a request has returned since its `record_log`; the next event includes them."""
        reads = _reads({_which(whole): 0}, rows, ())
        reads.log = LogRange(first=first, last=last)
        self._log.note(((caller.account, caller.actor), _which(whole)), reads)

    async def flush(self) -> None:
        """Write all reads now."""
        await self._write_all(list(self._gathered))

    async def _write_due(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [reader for reader, pace in self._paces.items() if pace.due <= now]
        for reader in due:
            self._set_pace(reader, now)
        await self._write_all([reader for reader in due if reader in self._gathered])
        await self._log.write_due()

    def _set_pace(self, reader: Reader, now: float) -> None:
        """Double the pause of a reader that has read again since the last event; otherwise reset it."""
        pace = self._paces.pop(reader)
        if reader in self._gathered:
            longer = min(2 * pace.pause, LONGEST_PAUSE_SECONDS * self._pause)
            self._paces[reader] = _Pace(now + longer, longer)

    async def _write_all(self, readers: list[Reader]) -> None:
        taken = {reader: self._gathered.pop(reader) for reader in readers}
        # Together, so that they share one batch.
        results = await asyncio.gather(*(write(self._door, *each) for each in taken.items()), return_exceptions=True)
        for (reader, reads), result in zip(taken.items(), results, strict=True):
            if isinstance(result, BaseException):
                self._keep_back(reader, reads)
                log.warning("reads_kept_back", error=type(result).__name__)

    def _keep_back(self, reader: Reader, reads: Reads) -> None:
        self._gathered.setdefault(reader, Reads(reads.since)).add(reads)
        self._paces.setdefault(reader, _Pace(asyncio.get_running_loop().time() + self._pause, self._pause))


def _reads(calls: dict[str, int], rows: int, tokens: tuple[UUID, ...]) -> Reads:
    return Reads(asyncio.get_running_loop().time(), calls, rows, dict.fromkeys(tokens))


def _which(whole: bool) -> WhichLog:
    return "whole_log" if whole else "log"
