"""Delete old rows in small steps, so that no statement is cancelled and loses all its work."""

from __future__ import annotations

import time
from typing import Final

from counterfoil.postgres.connection import Pool

BATCH: Final = 10_000
"""The most rows of one statement."""
LONGEST_SECONDS: Final = 5.0
"""How long one call deletes rows of one kind; the next call continues."""


def some_rows(table: str, condition: str) -> str:
    """Return the SQL for up to `BATCH` rows of a table (`old` in the condition) that no other transaction holds."""
    return f"""ctid = any(array(select old.ctid
                                  from {table} old
                                 where {condition}
                                 limit {BATCH:d}
                                   for update of old skip locked))"""


async def in_batches(pool: Pool, statement: str, *arguments: object) -> int:
    """Repeat a statement that changes up to `BATCH` rows until none is left or the time is over; return how many rows.

    Each statement is a transaction of its own.
    """
    ends, taken, last = time.monotonic() + LONGEST_SECONDS, 0, BATCH
    while last == BATCH and (not taken or time.monotonic() < ends):
        status = await pool.execute(statement, *arguments)
        last = int(status.rpartition(" ")[2])
        taken += last
    return taken
