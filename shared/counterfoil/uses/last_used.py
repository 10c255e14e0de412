"""Counts in memory when each token is used, and writes the counts once a second.

After a clean stop no use is missing; a crash loses at most the last second. Times are exact. A count may be too high,
never too low, where the connection broke between a write and its answer.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final
from uuid import UUID

from counterfoil.postgres import last_used as sql
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.lookup import Seen
from counterfoil.uses.write_behind import WriteBehind

PRECISION_SECONDS: Final = 1
"""How far `last_used_at` may lag behind."""

_Key = tuple[UUID, UUID, date, int]
"""Account, token, day and generation."""
_Count = tuple[int, datetime]
"""How often a token was used, and when last."""


class Uses(WriteBehind[_Key, _Count]):
    """Counts verifications: `async with Uses(pool) as uses`, then `uses.note(seen, generation)`."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(self._add_to_rows, merge=_sum, name="uses", seconds=PRECISION_SECONDS)
        self._pool = pool

    def note(self, seen: Seen, generation: int) -> None:
        """Count one verification of a secret or bearer of this generation."""
        self.add((seen.account, seen.id, seen.at.date(), generation), (1, seen.at))

    async def _add_to_rows(self, counts: dict[_Key, _Count]) -> None:
        await sql.add(self._pool, [(*key, *count) for key, count in counts.items()])


def _sum(older: _Count, newer: _Count) -> _Count:
    return older[0] + newer[0], max(older[1], newer[1])
