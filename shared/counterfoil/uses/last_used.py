"""Who was used when: counted in memory, written once a second.

A token used once is never "unused" after a clean stop; after a crash at most the last second is lost. Times are exact;
a count may be too high (never too low) where the connection was lost between a write and its answer.
"""

from __future__ import annotations

from datetime import date, datetime
from itertools import islice
from typing import Final, Self
from uuid import UUID

import structlog

from counterfoil.postgres import last_used as sql
from counterfoil.postgres.connection import LOST, Pool
from counterfoil.postgres.lookup import Seen
from counterfoil.uses.repeating import Repeating

log = structlog.get_logger()

PRECISION_SECONDS: Final = 1
"""How far `last_used_at` may lag behind."""
_AT_ONCE: Final = 500
"""Tokens written by one statement: thousands at once would keep everybody else waiting for 15 ms."""

Counts = dict[tuple[UUID, UUID, date, int], tuple[int, datetime]]


class Uses:
    """Counts verifications and flushes them: `async with Uses(pool) as uses`, then `uses.note(seen, generation)`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._counts: Counts = {}
        self._flushing = Repeating(self.flush, seconds=PRECISION_SECONDS, complaint="uses_not_flushed")

    async def __aenter__(self) -> Self:
        self._flushing.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._flushing.stop()

    def note(self, seen: Seen, generation: int) -> None:
        """Count one verification of a secret or bearer of this generation."""
        key = (seen.account, seen.id, seen.at.date(), generation)
        count, last_at = self._counts.get(key, (0, seen.at))
        self._counts[key] = (count + 1, max(last_at, seen.at))

    async def flush(self) -> None:
        """Write what was counted; keep it for the next time if the database is away."""
        counts, self._counts = self._counts, {}
        while counts:
            part = dict(islice(counts.items(), _AT_ONCE))
            try:
                await self._write(part)
            except BaseException as error:
                self._keep_back(counts)
                if not isinstance(error, LOST):
                    raise
                log.warning("uses_kept_back", tokens=len(counts), error=type(error).__name__)
                return
            for key in part:
                del counts[key]

    def _keep_back(self, counts: Counts) -> None:
        for key, (count, last_at) in counts.items():
            newer, at = self._counts.get(key, (0, last_at))
            self._counts[key] = (newer + count, max(at, last_at))

    async def _write(self, counts: Counts) -> None:
        await sql.add(self._pool, [(*key, *value) for key, value in counts.items()])
