"""Finds tokens whose notice, expiry or end of grace is due, and sends a command for each to the door."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from math import inf
from typing import Final
from uuid import UUID

import structlog
from msgspec.structs import replace

from counterfoil.core.duration import spelt
from counterfoil.core.events import Fact
from counterfoil.core.principal import SYSTEM
from counterfoil.core.refusals import Unavailable
from counterfoil.core.subjects.token.commands import AnnounceGrace, Sweep, TokenCommand
from counterfoil.core.subjects.token.events import Expiring
from counterfoil.core.unit_of_work import Outcome
from counterfoil.door import Door
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.due import Due, tokens_due
from counterfoil.postgres.rotation_uses import graces_ending
from counterfoil.settings import Settings
from counterfoil_worker.job import Job, Shifts

log = structlog.get_logger()

PAGE: Final = 500
REST_SECONDS: Final = 300.0
"""A token that could not be swept is tried again after this time, so that it costs little and is logged seldom."""


class Sweeper(Shifts):
    """Sweeps page by page; `work` returns how many events it caused. Several workers may sweep at the same time."""

    name = "sweep"
    seconds = inf

    def __init__(self, pool: Pool, door: Door, *, grace_notice_seconds: int) -> None:
        """Announce the end of a grace so many seconds before, or at half of a shorter grace."""
        super().__init__()
        self._pool = pool
        self._door = door
        self._grace_notice_seconds = grace_notice_seconds
        self._resting: dict[UUID, float] = {}

    async def _round(self, _ends: float) -> int:
        """Sweep all due tokens."""
        began = time.monotonic()
        self._resting = {token_id: until for token_id, until in self._resting.items() if until > began}
        notice = timedelta(seconds=self._grace_notice_seconds)
        counts = await self._sweep_pages(lambda last: tokens_due(self._pool, after=last, limit=PAGE), _sweep_of)
        counts += await self._sweep_pages(
            lambda last: graces_ending(self._pool, notice=notice, after=last, limit=PAGE), self._announcement_of
        )
        if counts:
            log.info("swept", events=counts.total(), **counts, seconds=round(time.monotonic() - began, 3))
        return counts.total()

    async def _sweep_pages(
        self, page_after: Callable[[Due | None], Awaitable[list[Due]]], command: Callable[[Due], TokenCommand]
    ) -> Counter[str]:
        counts: Counter[str] = Counter()
        last = None
        while not self._stopping:
            page = await page_after(last)
            counts.update(await self._sweep([due for due in page if due.token_id not in self._resting], command))
            if len(page) < PAGE:
                break
            last = page[-1]
        return counts

    async def _sweep(self, page: Sequence[Due], command: Callable[[Due], TokenCommand]) -> list[str]:
        # All at once, so that the commands share batches; an error of one does not stop the others.
        answers = await asyncio.gather(*(self._door.execute(command(due)) for due in page), return_exceptions=True)
        for due, answer in zip(page, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, Unavailable):
                self._resting[due.token_id] = time.monotonic() + REST_SECONDS
                log.error("token_not_swept", account=due.account, token_id=due.token_id, error=type(answer).__name__)
        if later := [type(answer).__name__ for answer in answers if isinstance(answer, Unavailable)]:
            log.info("tokens_left_for_later", tokens=len(later), refusals=sorted(set(later)))
        return [_kind(fact) for answer in answers if isinstance(answer, Outcome) for fact in answer.facts]

    def _announcement_of(self, due: Due) -> AnnounceGrace:
        by = replace(SYSTEM, account=due.account)
        notice = self._grace_notice_seconds
        return AnnounceGrace(account=due.account, id=due.token_id, by=by, notice_seconds=notice)


def _kind(fact: Fact) -> str:
    """Return `expired`, or with its threshold such as `expiring_7d`."""
    return f"expiring_{spelt(fact.event.threshold)}" if isinstance(fact.event, Expiring) else fact.type


def _sweep_of(due: Due) -> Sweep:
    return Sweep(account=due.account, id=due.token_id, by=replace(SYSTEM, account=due.account))


def _open(pool: Pool, door: Door, settings: Settings) -> Sweeper:
    return Sweeper(pool, door, grace_notice_seconds=settings.grace_notice_seconds)


JOB: Final = Job(name="sweep", every_seconds=lambda settings: settings.sweep_interval_seconds, open=_open)
