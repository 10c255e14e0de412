"""Small numbers for tokens, for people and for vendors with integer ids."""

from __future__ import annotations

import asyncio
from typing import Final

from counterfoil.postgres.connection import Pool

_STOCK: Final = 64


class Numbers:
    """A stock of numbers taken from the sequence; what a process does not use is never used (gaps are harmless)."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._stock: list[int] = []
        self._refilling = asyncio.Lock()

    async def next(self) -> int:
        """Return a number that no other token has."""
        while not self._stock:
            async with self._refilling:
                if not self._stock:
                    rows = await self._pool.fetch(
                        "select nextval('token_number') as number from generate_series(1, $1::integer)", _STOCK
                    )
                    self._stock = [row["number"] for row in reversed(rows)]
        return self._stock.pop()
