"""Verifications, counted by token, generation and day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from counterfoil.postgres.connection import Pool
from counterfoil.postgres.forgetting import BATCH
from counterfoil.postgres.tenant_connection import Tenant

KEPT_DAYS: Final = 400
_TOKENS: Final = 1_000
"""Tokens that one deletion step reads."""

Use = tuple[UUID, UUID, date, int, int, datetime]
"""Account, token, day (UTC), generation, how often, last at."""
Place = tuple[UUID, UUID]
"""Account and token."""
FIRST: Final[Place] = (UUID(int=0), UUID(int=0))


async def add(pool: Pool, uses: Sequence[Use]) -> None:
    """Add these uses in one statement and in key order, so that two processes never deadlock."""
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

    Two rows are enough, because at most two generations of secrets are accepted at the same time.
    """
    return f"""(select max(last_at)
                  from (select u.last_at from token_use u
                         where (u.account_id, u.token_id) = ({alias}.account_id, {alias}.token_id)
                         order by u.day desc, u.generation desc limit 2) as latest)"""


async def last_use_of(connection: Tenant, account: UUID, token_id: UUID, *, generation: int) -> datetime | None:
    """Return when the secret of this generation, or a bearer of it, was last verified; None if never."""
    used_at: datetime | None = await connection.fetchval(
        """
        select max(last_at)
          from token_use
         where (account_id, token_id) = ($1, $2)
           and generation = $3""",
        account, token_id, generation,
    )  # fmt: skip
    return used_at


async def forget(pool: Pool, *, after: Place) -> tuple[int, Place | None]:
    """Delete old days of some tokens after a place; return how many rows, and the next place, None at the end.

    The latest day of a token stays, however old: it says when the token was last used. Uses by network since an earlier
    rotation than the last one are deleted, too, but not counted. The search is by token and not by age, because a
    search by age would read all latest days again in every pass.
    """
    row = await pool.fetchrow(
        f"""
        with page as (
             select t.account_id, t.token_id, t.generation
               from token t
              where (t.account_id, t.token_id) > ($1, $2)
              order by t.account_id, t.token_id
              limit {_TOKENS:d}),
             rotations as (
             delete from rotation_use u
              using page p
              where (u.account_id, u.token_id) = (p.account_id, p.token_id)
                and (u.rotation < p.generation or u.last_at < current_date - {KEPT_DAYS:d})),
             gone as (
             delete from token_use
              where ctid = any(array(select old.ctid
                                       from page p
                                      cross join lateral (select max(n.day) as day
                                                            from token_use n
                                                           where n.account_id = p.account_id
                                                             and n.token_id = p.token_id) as latest
                                      cross join lateral (select u.ctid
                                                            from token_use u
                                                           where u.account_id = p.account_id
                                                             and u.token_id = p.token_id
                                                             and u.day < least(latest.day, current_date - {KEPT_DAYS:d})
                                                           limit {BATCH:d}
                                                             for update skip locked) as old
                                      limit {BATCH:d}))
          returning 1)
        select p.account_id, p.token_id, (select count(*) from page) as tokens, (select count(*) from gone) as forgotten
          from page p
         order by p.account_id desc, p.token_id desc
         limit 1""",
        *after,
    )
    if row is None:
        return 0, None
    if row["forgotten"] == BATCH:  # these tokens may have more old days
        return BATCH, after
    return row["forgotten"], (row["account_id"], row["token_id"]) if row["tokens"] == _TOKENS else None
