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
class _Pending:
    """The reads of a reader since the last event (None: no read), and when the next event is due.

    Times are seconds on the event loop's clock; `pause` is the interval before the next event.
    """

    due: float
    pause: float
    reads: Reads | None = None


class AccessLog:
    """Logs reads: `async with AccessLog(door) as log`, then `log.note(…)` or `await log.record(…)`."""

    def __init__(self, door: Doorway, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._door = door
        self._pause = pause_seconds
        self._pending: dict[Reader, _Pending] = {}
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
        self._gather((caller.account, caller.actor), _reads({what: 1}, rows, tokens))

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
        await self._write_all(list(self._pending))

    def _gather(self, reader: Reader, reads: Reads) -> None:
        now = asyncio.get_running_loop().time()
        pending = self._pending.setdefault(reader, _Pending(now + self._pause, self._pause))
        if pending.reads is None:
            pending.reads = reads
        else:
            pending.reads.add(reads)

    async def _write_due(self) -> None:
        now = asyncio.get_running_loop().time()
        await self._write_all([reader for reader, pending in self._pending.items() if pending.due <= now])
        await self._log.write_due()

    async def _write_all(self, readers: list[Reader]) -> None:
        now = asyncio.get_running_loop().time()
        taken: dict[Reader, Reads] = {}
        for reader in readers:
            pending = self._pending.pop(reader)  # a reader that paused begins with the shortest interval again
            if pending.reads is not None:
                longer = min(2 * pending.pause, LONGEST_PAUSE_SECONDS * self._pause)
                self._pending[reader] = _Pending(now + longer, longer)
                taken[reader] = pending.reads
        # Together, so that they share one batch.
        results = await asyncio.gather(*(write(self._door, *each) for each in taken.items()), return_exceptions=True)
        for (reader, reads), result in zip(taken.items(), results, strict=True):
            if isinstance(result, BaseException):
                self._gather(reader, reads)
                log.warning("reads_kept_back", error=type(result).__name__)


def _reads(calls: dict[str, int], rows: int, tokens: tuple[UUID, ...]) -> Reads:
    return Reads(asyncio.get_running_loop().time(), calls, rows, dict.fromkeys(tokens))


def _which(whole: bool) -> WhichLog:
    return "whole_log" if whole else "log"
