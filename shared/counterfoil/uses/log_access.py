"""Reads of the log by position: one event an hour and reader, and the first one before anything is shown.

The ledger decides how long ago the last event of a reader was, so that several processes write no more than one. What
a reader reads in the rest of the hour is gathered in memory and becomes the next event. A crash loses that range at
most; the event that says that this reader reads the log is there.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from counterfoil.core.subjects import access
from counterfoil.core.subjects.access import Access, WhichLog
from counterfoil.core.unit_of_work import Outcome
from counterfoil.uses.noted_access import Doorway, Noted, Reader, write

log = structlog.get_logger()

_REST_SECONDS: Final = 5.0
"""How long nothing is written after an event could not be."""
Reading = tuple[Reader, WhichLog]


class LogReads:
    """Gathers reads of the log, and writes them once an hour. Times are seconds on the event loop's clock."""

    def __init__(self, door: Doorway) -> None:
        self._door = door
        self._noted: dict[Reading, Noted] = {}
        self._said_until: dict[Reading, float] = {}
        """For how long an event that is in the log stands for all that its reader reads."""
        self._writing: dict[Reading, asyncio.Task[None]] = {}
        self._rests_until = 0.0

    async def tell(self, reading: Reading, noted: Noted) -> None:
        """Count a read, and return once an event of the hour is in the log. Raises what the door raised."""
        while not self._is_said(reading):
            if reading not in self._writing:
                await self._write(reading, noted)
                return
            await asyncio.shield(self._writing[reading])
        self.note(reading, noted)

    def note(self, reading: Reading, noted: Noted) -> None:
        """Count a read; an event says so when the hour is over."""
        if reading in self._noted:
            self._noted[reading].add(noted)
        else:
            self._noted[reading] = noted

    async def write_due(self) -> None:
        """Write what readers read in an hour that is over."""
        now = asyncio.get_running_loop().time()
        self._said_until = {reading: until for reading, until in self._said_until.items() if until > now}
        if now >= self._rests_until:
            await self._write_all([each for each in self._noted if each not in self._said_until])

    async def finish(self) -> None:
        """Write what may be written; of the rest, whose hour is not over, the service's own log tells the range."""
        await self._write_all(list(self._noted))
        for ((account, actor), which), noted in self._noted.items():
            log.info(
                "log_reads_unwritten", account=account, reader=actor.id, kind=actor.kind, which=which, **noted.range
            )

    def _is_said(self, reading: Reading) -> bool:
        return self._said_until.get(reading, 0.0) > asyncio.get_running_loop().time()

    async def _write_all(self, readings: list[Reading]) -> None:
        free = [each for each in readings if each not in self._writing]
        results = await asyncio.gather(*(self._write(each) for each in free), return_exceptions=True)
        if failed := [type(result).__name__ for result in results if result is not None]:
            self._rests_until = asyncio.get_running_loop().time() + _REST_SECONDS
            log.warning("reads_kept_back", readers=len(failed), error=failed[0])

    async def _write(self, reading: Reading, noted: Noted | None = None) -> None:
        # A task of its own: whoever waits for it may go away, and what was gathered must be counted exactly once.
        task = self._writing[reading] = asyncio.create_task(self._written(reading, noted))
        task.add_done_callback(lambda _: self._writing.pop(reading))
        await asyncio.shield(task)

    async def _written(self, reading: Reading, noted: Noted | None) -> None:
        began, gathered = asyncio.get_running_loop().time(), self._noted.pop(reading, None)
        whole = Noted(began)
        for each in filter(None, (gathered, noted)):
            whole.add(each)
        try:
            outcome = await write(self._door, reading[0], whole)
        except Exception:
            if gathered is not None:
                self.note(reading, gathered)
            raise
        self._said_until[reading] = began + _seconds_left(outcome, reading[1])
        if not outcome.facts:
            self.note(reading, whole)


def _seconds_left(outcome: Outcome, which: WhichLog) -> float:
    """Return how long the last event stands for what is read, from the moment when the ledger was asked."""
    if not isinstance(outcome.state, Access):
        raise TypeError("reads are noted in a log")
    return (outcome.state.log_read_at[which] + access.HOUR - outcome.at).total_seconds()
