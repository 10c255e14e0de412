"""A process that verifies tokens in turn, and writes each time into a file."""

import asyncio
from pathlib import Path
from typing import TextIO
from uuid import UUID

from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.lookup import Lookup
from counterfoil.uses.last_used import Uses


def verify(url: str, file: Path, account: UUID, tokens: list[UUID], *, rounds: int, flush_every: int) -> None:
    """Be that process; with `flush_every` 0 the uses are written by the clock and at the end."""
    with file.open("w") as into:
        asyncio.run(_verify(url, into, account, tokens, rounds=rounds, flush_every=flush_every))


async def _verify(url: str, into: TextIO, account: UUID, tokens: list[UUID], *, rounds: int, flush_every: int) -> None:
    async with await open_pool(url, size=2, by_key=True) as pool, Uses(pool) as uses:
        lookup = Lookup(pool)
        for number in range(1, rounds + 1):
            for seen in await asyncio.gather(*(lookup.by_id(account, token) for token in tokens)):
                if seen is None:
                    raise LookupError
                uses.note(seen, 1)
                print(seen.at.isoformat(), file=into, flush=True)
            if flush_every and number % flush_every == 0:
                await uses.flush()
