"""Forgetting in small steps: none takes so long that it is cancelled, and all of it was in vain."""

from __future__ import annotations

import time
from typing import Final

from counterfoil.postgres.connection import Pool

BATCH: Final = 10_000
"""Rows that one statement may take."""
LONGEST_SECONDS: Final = 5.0
"""So long one kind is forgotten at a time; the next call goes on."""


async def in_batches(pool: Pool, statement: str, *arguments: object) -> int:
    """Repeat a statement that takes up to `BATCH` rows until there are no more, or time is up; return how many it took.

    Each time counts by itself: what was taken stays so, whatever becomes of the next.
    """
    ends, taken, last = time.monotonic() + LONGEST_SECONDS, 0, BATCH
    while last == BATCH and (not taken or time.monotonic() < ends):
        status = await pool.execute(statement, *arguments)
        last = int(status.rpartition(" ")[2])
        taken += last
    return taken
