"""Finds tokens whose notice or expiry is due, and sends a `Sweep` command for each to the door."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Final
from uuid import UUID

import structlog
from msgspec.structs import replace

from counterfoil.core.duration import spelt
from counterfoil.core.events import Fact
from counterfoil.core.principal import SYSTEM
from counterfoil.core.refusals import Unavailable
from counterfoil.core.subjects.token.commands import Sweep
from counterfoil.core.subjects.token.events import Expiring
from counterfoil.core.unit_of_work import Outcome
from counterfoil.door import Door
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.due import Due, tokens_due
from counterfoil_worker.job import Job, Shifts

log = structlog.get_logger()

PAGE: Final = 500
REST_SECONDS: Final = 300.0
"""A token that could not be swept is tried again after this time, so that it costs little and is logged seldom."""


class Sweeper(Shifts):
    """Sweeps page by page; `work` returns how many events it caused. Several workers may sweep at the same time."""

    name = "sweep"
    seconds = inf

    def __init__(self, pool: Pool, door: Door) -> None:
        super().__init__()
        self._pool = pool
        self._door = door
        self._resting: dict[UUID, float] = {}

    async def _round(self, _ends: float) -> int:
        """Sweep all due tokens."""
        began = time.monotonic()
        self._resting = {token_id: until for token_id, until in self._resting.items() if until > began}
        counts: Counter[str] = Counter()
        last = None
        while not self._stopping:
            page = await tokens_due(self._pool, after=last, limit=PAGE)
            counts.update(await self._sweep([due for due in page if due.token_id not in self._resting]))
            if len(page) < PAGE:
                break
            last = page[-1]
        if counts:
            log.info("swept", events=counts.total(), **counts, seconds=round(time.monotonic() - began, 3))
        return counts.total()

    async def _sweep(self, page: Sequence[Due]) -> list[str]:
        # All at once, so that the commands share batches; an error of one does not stop the others.
        answers = await asyncio.gather(*(self._door.execute(_command(due)) for due in page), return_exceptions=True)
        for due, answer in zip(page, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, Unavailable):
                self._resting[due.token_id] = time.monotonic() + REST_SECONDS
                log.error("token_not_swept", account=due.account, token_id=due.token_id, error=type(answer).__name__)
        if later := [type(answer).__name__ for answer in answers if isinstance(answer, Unavailable)]:
            log.info("tokens_left_for_later", tokens=len(later), refusals=sorted(set(later)))
        return [_kind(fact) for answer in answers if isinstance(answer, Outcome) for fact in answer.facts]


def _kind(fact: Fact) -> str:
    """Return `expired`, or with its threshold such as `expiring_7d`."""
    return f"expiring_{spelt(fact.event.threshold)}" if isinstance(fact.event, Expiring) else fact.type


def _command(due: Due) -> Sweep:
    return Sweep(account=due.account, id=due.token_id, by=replace(SYSTEM, account=due.account))


JOB: Final = Job(name="sweep", every_seconds=lambda settings: settings.sweep_interval_seconds, open=Sweeper)
