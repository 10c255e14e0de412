"""Small numbers for tokens and users, for people and for vendors with integer ids."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from counterfoil.postgres.connection import Pool

_STOCK: Final = 64


class Numbers:
    """A stock of numbers taken from a sequence; what a process does not use is never used (gaps are harmless)."""

    def __init__(self, pool: Pool, sequence: Literal["token_number", "user_number"] = "token_number") -> None:
        self._pool = pool
        self._sequence = sequence
        self._stock: list[int] = []
        self._refilling = asyncio.Lock()

    async def next(self) -> int:
        """Return a number that nobody else was given."""
        while not self._stock:
            async with self._refilling:
                if not self._stock:
                    rows = await self._pool.fetch(
                        "select nextval($1::text::regclass) as number from generate_series(1, $2::integer)",
                        self._sequence, _STOCK,
                    )  # fmt: skip
                    self._stock = [row["number"] for row in reversed(rows)]
        return self._stock.pop()
