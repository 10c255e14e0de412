"""A process that verifies: `verifier.py URL ACCOUNT ROUNDS FLUSH_EVERY TOKEN…`; it prints each recorded round.

With FLUSH_EVERY = 0 its uses are written by the clock and at its end.
"""

import asyncio
import sys
from uuid import UUID

from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.lookup import Lookup
from counterfoil.uses.last_used import Uses


async def verify(url: str, account: UUID, rounds: int, flush_every: int, tokens: list[UUID]) -> None:
    async with await open_pool(url, size=2, by_key=True) as pool, Uses(pool) as uses:
        lookup = Lookup(pool)
        for number in range(1, rounds + 1):
            for seen in await asyncio.gather(*(lookup.by_id(account, token) for token in tokens)):
                if seen is None:
                    raise LookupError
                uses.note(seen, 1)
                print(seen.at.isoformat(), flush=True)  # noqa: T201 - whoever started it reads this
            if flush_every and number % flush_every == 0:
                await uses.flush()


if __name__ == "__main__":
    url, account, rounds, flush_every, *tokens = sys.argv[1:]
    asyncio.run(verify(url, UUID(account), int(rounds), int(flush_every), [UUID(token) for token in tokens]))
