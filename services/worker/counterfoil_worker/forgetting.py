"""Deletes old rows: idempotency keys, refused attempts, daily counts of uses, parts without a bulk revocation."""

import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

import asyncpg
import structlog

from counterfoil.postgres import assertions, attempts, bulk_revocations, deliveries, idempotency_keys, last_used
from counterfoil.postgres.connection import LOST, Pool
from counterfoil.postgres.forgetting import LONGEST_SECONDS
from counterfoil_worker.job import Job

log = structlog.get_logger()

_KINDS: Final[Mapping[str, Callable[[Pool], Awaitable[int]]]] = MappingProxyType({
    "secrets": idempotency_keys.forget_secrets,
    "replies": idempotency_keys.forget,
    "attempts": attempts.forget,
    "bulk_revocation_parts": bulk_revocations.forget_unaccepted,
    "assertions": assertions.forget,
    "deliveries": deliveries.forget,
    "orphaned_deliveries": deliveries.end_orphans,
    "late_deliveries": deliveries.give_up,
})  # fmt: skip
_REST_SECONDS: Final = 86_400.0
"""Uses are counted by the day: once all tokens were checked, no more rows become old before tomorrow."""
_EVERY_SECONDS: Final = 60.0


class Forgetter:
    """Deletes old rows of each kind, first the replies that contain secrets."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._place = last_used.FIRST
        self._rests_until = 0.0

    def stop(self) -> None:
        """Do nothing: one call takes a few seconds at most."""

    async def work(self) -> int:
        """Delete some of each kind. If one kind fails, the others continue, and the next call tries it again."""
        forgotten: dict[str, int] = {}
        postponed: dict[str, str] = {}
        for kind, forget in (*_KINDS.items(), ("uses", self._forget_uses)):
            try:
                forgotten[kind] = await forget(self._pool)
            except (*LOST, asyncpg.PostgresError) as error:
                postponed[kind] = type(error).__name__
        if postponed:
            log.warning("forgetting_postponed", **postponed)
        if any(forgotten.values()):
            log.info("forgot", **forgotten)
        return sum(forgotten.values())

    async def _forget_uses(self, pool: Pool) -> int:
        """Check tokens for some seconds; the next call begins where this one ended."""
        forgotten, ends = 0, time.monotonic() + LONGEST_SECONDS
        while self._rests_until < time.monotonic() < ends:
            some, place = await last_used.forget(pool, after=self._place)
            forgotten += some
            if place is None:
                self._rests_until = time.monotonic() + _REST_SECONDS
            self._place = place or last_used.FIRST
        return forgotten


JOB: Final = Job(name="forget", every_seconds=lambda _: _EVERY_SECONDS, open=lambda pool, *_: Forgetter(pool))
