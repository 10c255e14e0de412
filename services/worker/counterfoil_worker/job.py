"""A job: work that falls due, is found in Postgres, and may be interrupted and repeated at any time."""

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
    """What a job does in one process. `stop` asks a call of `work` that is under way to end soon."""

    async def work(self) -> int: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One line in the list of jobs: its name, how often a worker looks for due work, and how its work is opened."""

    name: str
    every_seconds: Callable[[Settings], float]
    open: Callable[[Pool, Door, Settings], Work]


class Shifts(ABC):
    """Runs round after round, until a round finds nothing to do or the shift is over.

    A process works one shift of a job at a time; a second call returns at once. A lost database is no error: what is
    not done is found again by the next call.
    """

    name: ClassVar[str]
    seconds: ClassVar[float]
    """How long one shift takes; the next call goes on."""
    postponing: ClassVar[tuple[type[Exception], ...]] = LOST

    def __init__(self) -> None:
        self._working = False
        self._postponed = False
        self._stopping = False

    def stop(self) -> None:
        """Finish what is under way and begin nothing more; another worker finds the rest."""
        self._stopping = True

    async def work(self) -> int:
        """Work one shift; return how much was done."""
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
        """Do some of what is due, until this moment at most; return how much, 0 if nothing is left to do now."""

    def _postpone(self, error: Exception) -> None:
        """Leave the work to the next call; log that once, and not with every call."""
        if not self._postponed:
            log.warning("work_postponed", job=self.name, error=type(error).__name__)
        self._postponed = True

    def _over(self, ends: float) -> bool:
        return self._stopping or time.monotonic() >= ends
