"""Counts the uses of tokens with a limited number of uses, in the database and before each is accepted.

So a crash may lose a use and never grants one too many, however many processes there are. Uses that arrive together
share a statement.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Final
from uuid import UUID

from counterfoil.core.bounds import Limits
from counterfoil.core.refusals import UsesExhausted
from counterfoil.core.subjects.token.acceptance import OWNER_USED_UP
from counterfoil.postgres import counted_use as sql
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.gather import Gather

_Use = tuple[UUID, UUID, int, int]
"""Account, subject, how many uses there may be in all, and which use of this process it is."""


class CountedUses:
    """Counts uses: `await CountedUses(pool).count(account, token, limits)` before one is accepted."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._uses: Final = count()
        self._gather: Gather[_Use, bool] = Gather(self._take)

    async def count(self, account: UUID, token: UUID, limits: Limits) -> None:
        """Count one use of a token, or raise UsesExhausted; without a limit there is no query."""
        if limits.max_uses is not None and not await self._granted(account, token, limits.max_uses):
            raise UsesExhausted
        quota = limits.quota
        if quota is None or quota.max_uses is None:
            return
        if not await self._granted(account, quota.id, quota.max_uses):
            raise UsesExhausted(OWNER_USED_UP, of="owner")

    async def _granted(self, account: UUID, subject: UUID, most: int) -> bool:
        return bool(await self._gather.get((account, subject, most, next(self._uses))))

    async def _take(self, uses: list[_Use]) -> dict[_Use, bool]:
        """Count the uses of each subject together, against the lowest limit among them."""
        wanted = Counter((account, subject) for account, subject, _, _ in uses)
        most: dict[sql.Limited, int] = {}
        for account, subject, number, _ in uses:
            most[account, subject] = min(number, most.get((account, subject), number))
        left = await sql.take(self._pool, [(*key, number, most[key]) for key, number in wanted.items()])
        answers: dict[_Use, bool] = {}
        for use in uses:
            key = use[:2]
            answers[use] = left.get(key, 0) > 0
            left[key] = left.get(key, 0) - 1
        return answers
