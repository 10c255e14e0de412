"""A token's events, as they stand in the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from counterfoil.codec import entry_of, fact_of
from counterfoil.events import Fact
from counterfoil.postgres.connection import Pool
from counterfoil.subjects import KINDS


async def events_of(
    pool: Pool, account: UUID, token_id: UUID, *, after: int, limit: int, descending: bool = False
) -> list[Fact]:
    """Return events with versions beyond `after`, in order: the oldest first, or (descending) the newest."""
    rows = await pool.fetch(
        f"""
        select entry, private
          from event
         where account_id = $1 and subject_id = $2 and kind = 'token' and version {"<" if descending else ">"} $3
         order by version {"desc" if descending else "asc"}
         limit $4""",
        account, token_id, after, limit,
    )  # fmt: skip
    return _facts(rows)


async def changes_until(
    pool: Pool, account: UUID, token_id: UUID, *, at: datetime | None = None, version: int | None = None
) -> list[Fact]:
    """Return all that changed what a token may do, up to and including a moment or a version.

    Exchanges are left out, however many there are: they change nothing but when the token was last exchanged.
    """
    rows = await pool.fetch(
        """
        select entry, private
          from event
         where account_id = $1 and subject_id = $2 and kind = 'token' and type <> 'exchanged'
           and ($3::timestamptz is null or at <= $3) and ($4::bigint is null or version <= $4)
         order by version""",
        account, token_id, at, version,
    )  # fmt: skip
    return _facts(rows)


async def moment_of(pool: Pool, account: UUID, token_id: UUID, version: int) -> datetime | None:
    """Return when this version came about, or None if the token has not come that far."""
    moment: datetime | None = await pool.fetchval(
        "select at from event where account_id = $1 and subject_id = $2 and kind = 'token' and version = $3",
        account, token_id, version,
    )  # fmt: skip
    return moment


def _facts(rows: Sequence[asyncpg.Record]) -> list[Fact]:
    return [fact_of(entry_of(row["entry"]), row["private"], KINDS) for row in rows]
