"""Writes events about reads of the log: one per reader and hour, the first one before the first answer.

The database knows when the last event of a reader was written, so several processes write one event an hour together.
Further reads of the hour are counted in memory and become the next event. A crash loses these counts, but not the event
that this reader reads the log.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

import structlog

from counterfoil.core.principal import SYSTEM, Actor
from counterfoil.core.subjects import access
from counterfoil.core.subjects.access import NAMED_LIMIT, Access, LogRange, NoteAccess, WhichLog, access_id_of
from counterfoil.core.unit_of_work import Outcome

log = structlog.get_logger()

_REST_SECONDS: Final = 5.0
"""The pause after an event could not be written."""


Reader = tuple[UUID, Actor]
"""The account and the caller that reads."""


Reading = tuple[Reader, WhichLog]


class Doorway(Protocol):
    """The part of the door that is used here."""

    async def execute(self, command: NoteAccess) -> Outcome: ...


@dataclass(slots=True)
class Reads:
    """What one reader has read since the last event; `since` is in seconds on the event loop's clock."""

    since: float
    calls: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    tokens: dict[UUID, None] = field(default_factory=dict)
    log: LogRange | None = None

    def add(self, other: Reads) -> None:
        """Add further reads of the same reader."""
        self.since = min(self.since, other.since)
        for what, count in other.calls.items():
            self.calls[what] = self.calls.get(what, 0) + count
        self.rows += other.rows
        self.tokens |= other.tokens
        while len(self.tokens) > NAMED_LIMIT:
            self.tokens.popitem()
        self.log = self.log.joined(other.log) if self.log and other.log else self.log or other.log

    @property
    def range(self) -> dict[str, int]:
        """The positions that were read, for the service's own log."""
        return {"first": self.log.first, "last": self.log.last, "rows": self.rows} if self.log else {}


async def write(door: Doorway, reader: Reader, reads: Reads) -> Outcome:
    """Write one event about these reads, and return its outcome."""
    account, actor = reader
    return await door.execute(
        NoteAccess(
            # The service is the actor, since the event must be written even if the reader was revoked meanwhile.
            account=account, id=access_id_of(account, actor), by=SYSTEM, reader=actor, calls=reads.calls,
            rows=reads.rows, tokens=tuple(reads.tokens),
            seconds=int(asyncio.get_running_loop().time() - reads.since), log=reads.log,
        )
    )  # fmt: skip


class LogReads:
    """Counts reads of the log and writes them once an hour. Times are seconds on the event loop's clock."""

    def __init__(self, door: Doorway) -> None:
        self._door = door
        self._gathered: dict[Reading, Reads] = {}
        self._covered_until: dict[Reading, float] = {}
        """The end of the hour of each reader's last stored event; reads before it need no event of their own."""
        self._tasks: dict[Reading, asyncio.Task[None]] = {}
        self._rests_until = 0.0

    async def record(self, reading: Reading, reads: Reads) -> None:
        """Count a read; return once an event of this hour is stored. Raises the errors of the door."""
        while self._covered_until.get(reading, 0.0) <= asyncio.get_running_loop().time():
            if reading not in self._tasks:
                await self._write(reading, reads)
                return
            await asyncio.shield(self._tasks[reading])
        self.note(reading, reads)

    def note(self, reading: Reading, reads: Reads) -> None:
        """Count a read for the event after this hour."""
        self._gathered.setdefault(reading, Reads(reads.since)).add(reads)

    async def write_due(self) -> None:
        """Write the reads of each reader whose hour is over."""
        now = asyncio.get_running_loop().time()
        self._covered_until = {reading: until for reading, until in self._covered_until.items() if until > now}
        if now >= self._rests_until:
            await self._write_all([each for each in self._gathered if each not in self._covered_until])

    async def finish(self) -> None:
        """Write all reads; those whose hour is not over cannot be written, and go to the service's own log."""
        await self._write_all(list(self._gathered))
        for ((account, actor), which), reads in self._gathered.items():
            log.info(
                "log_reads_unwritten", account=account, reader=actor.id, kind=actor.kind, which=which, **reads.range
            )

    async def _write_all(self, readings: list[Reading]) -> None:
        free = [each for each in readings if each not in self._tasks]
        results = await asyncio.gather(*(self._write(each) for each in free), return_exceptions=True)
        if failed := [type(result).__name__ for result in results if result is not None]:
            self._rests_until = asyncio.get_running_loop().time() + _REST_SECONDS
            log.warning("reads_kept_back", readers=len(failed), error=failed[0])

    async def _write(self, reading: Reading, reads: Reads | None = None) -> None:
        # A task of its own: a cancelled caller must not interrupt the write, since each read counts exactly once.
        task = self._tasks[reading] = asyncio.create_task(self._written(reading, reads))
        task.add_done_callback(lambda _: self._tasks.pop(reading))
        await asyncio.shield(task)

    async def _written(self, reading: Reading, reads: Reads | None) -> None:
        began, gathered = asyncio.get_running_loop().time(), self._gathered.pop(reading, None)
        whole = Reads(began)
        for each in filter(None, (gathered, reads)):
            whole.add(each)
        try:
            outcome = await write(self._door, reading[0], whole)
        except Exception:
            if gathered is not None:
                self.note(reading, gathered)
            raise
        self._covered_until[reading] = began + _seconds_left(outcome, reading[1])
        if not outcome.facts:
            self.note(reading, whole)


def _seconds_left(outcome: Outcome, which: WhichLog) -> float:
    """Return the seconds between the time of this command and the end of the hour of the last event."""
    if not isinstance(outcome.state, Access):
        raise TypeError("an access log is expected")
    return (outcome.state.log_read_at[which] + access.HOUR - outcome.at).total_seconds()
