"""Forgetting: what nobody asks for any more goes, each kind by itself."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

import asyncpg
import structlog

from counterfoil.postgres import attempts, claims, jobs
from counterfoil.postgres.connection import LOST, Pool

log = structlog.get_logger()

_KINDS: Final[Mapping[str, Callable[[Pool], Awaitable[int]]]] = MappingProxyType({
    "secrets": claims.forget_secrets,
    "replies": claims.forget,
    "attempts": attempts.forget,
    "job_parts": jobs.forget_unaccepted,
})  # fmt: skip


class Forgetter:
    """Forgets old attempts, parts of no job, and what idempotency keys need no longer: secrets first."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def forget(self) -> None:
        """Forget some of each kind; one that cannot be forgotten now is tried again, and keeps no other."""
        forgotten, postponed = {}, {}
        for kind, forget in _KINDS.items():
            try:
                forgotten[kind] = await forget(self._pool)
            except (*LOST, asyncpg.PostgresError) as error:
                postponed[kind] = type(error).__name__
        if postponed:
            log.warning("forgetting_postponed", **postponed)
        if any(forgotten.values()):
            log.info("forgot", **forgotten)
