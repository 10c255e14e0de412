"""Jobs: work that is due, is read from Postgres, and can be interrupted and repeated at any time."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import structlog

from counterfoil.door import Door
from counterfoil.postgres.connection import LOST, Pool
from counterfoil.settings import Settings

log = structlog.get_logger()


class Work(Protocol):
    """The work of a job in one process. `stop` makes a call of `work` that is under way return soon."""

    async def work(self) -> int: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One line in the list of jobs: its name, how often a worker looks for due work, and how its work is opened."""

    name: str
    every_seconds: Callable[[Settings], float]
    open: Callable[[Pool, Door, Settings], Work]


class Shifts(ABC):
    """Runs round after round, until a round finds nothing to do or the time of the shift is over.

    A process runs one shift of a job at a time; a concurrent call returns at once. If the database is lost, the next
    call continues.
    """

    name: ClassVar[str]
    seconds: ClassVar[float]
    """The longest time of one shift; the next call continues."""
    postponing: ClassVar[tuple[type[Exception], ...]] = LOST

    def __init__(self) -> None:
        self._working = False
        self._postponed = False
        self._stopping = False

    def stop(self) -> None:
        """End after the work that is under way; other workers do the rest."""
        self._stopping = True

    async def work(self) -> int:
        """Run one shift; return how much was done."""
        if self._working:
            return 0
        self._working = True
        try:
            return await self._shift()
        finally:
            self._working = False

    async def _shift(self) -> int:
        ends, done = time.monotonic() + self.seconds, 0
        try:
            while not self._over(ends) and (some := await self._round(ends)):
                done += some
            self._postponed = False
        except self.postponing as error:
            self._postpone(error)
        return done

    @abstractmethod
    async def _round(self, ends: float) -> int:
        """Do due work until this moment at most; return how much was done, 0 if nothing is due."""

    def _postpone(self, error: Exception) -> None:
        """Leave the work to the next call, and log that once."""
        if not self._postponed:
            log.warning("work_postponed", job=self.name, error=type(error).__name__)
        self._postponed = True

    def _over(self, ends: float) -> bool:
        return self._stopping or time.monotonic() >= ends
