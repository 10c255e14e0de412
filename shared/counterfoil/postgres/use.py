"""Verifications, added up by token, generation and day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from counterfoil.postgres.connection import Pool

Use = tuple[UUID, UUID, date, int, int, datetime]
"""Account, token, day (UTC), generation, how often, last at."""


async def add(pool: Pool, uses: Sequence[Use]) -> None:
    """Add these uses, in one statement and in key order, so that two processes never wait in a circle."""
    await pool.execute(
        """
        insert into token_use as u (account_id, token_id, day, generation, count, last_at)
        select account_id, token_id, day, generation, count, last_at
          from unnest($1::uuid[], $2::uuid[], $3::date[], $4::integer[], $5::bigint[], $6::timestamptz[])
            as n(account_id, token_id, day, generation, count, last_at)
            on conflict (account_id, token_id, day, generation)
            do update set count = u.count + excluded.count, last_at = greatest(u.last_at, excluded.last_at)""",
        *zip(*sorted(uses), strict=True),
    )


def last_use(alias: str) -> str:
    """Return SQL for when a token was last verified, null if never; `alias` is its row of the token table.

    Two rows are enough: no more than two generations are ever good at once.
    """
    return f"""(select max(last_at)
                  from (select u.last_at from token_use u
                         where (u.account_id, u.token_id) = ({alias}.account_id, {alias}.token_id)
                         order by u.day desc, u.generation desc limit 2) as latest)"""
