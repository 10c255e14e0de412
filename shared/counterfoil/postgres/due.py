"""Tokens whose notice or expiry is due, how many expire soon, and how many alerts are open."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from counterfoil.postgres.alerts import ALERTING, KEPT, RECENT
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.token_context import removed


class Due(msgspec.Struct, frozen=True):
    """A token that the sweep must announce, and since when; for a grace, when it ends."""

    at: datetime
    account: UUID
    token_id: UUID


async def tokens_due(pool: Pool, *, after: Due | None, limit: int) -> list[Due]:
    """Return up to `limit` due tokens after another one, the longest overdue first."""
    # statement_timestamp() and not clock_timestamp(): only a stable function may bound the scan of an index.
    rows = await pool.fetch(
        """
        select next_due_at, account_id, token_id
          from token
         where next_due_at <= statement_timestamp()
           and (next_due_at, account_id, token_id) > ($1::timestamptz, $2::uuid, $3::uuid)
         order by next_due_at, account_id, token_id
         limit $4""",
        *astuple(after or BEFORE_ALL), limit,
    )  # fmt: skip
    return [Due(row["next_due_at"], row["account_id"], row["token_id"]) for row in rows]


async def lag_seconds(pool: Pool) -> float:
    """Return how long the longest overdue token has waited for the sweep; 0 if none is due."""
    lag: float = await pool.fetchval(
        """
        select greatest(0, extract(epoch from statement_timestamp() - min(next_due_at)))::float8
          from token
         where next_due_at is not null"""
    )
    return lag


async def expiring(pool: Pool) -> dict[str, int]:
    """Return how many active tokens expire within a day, then within 7, 30 and 90 days, later, and never.

    Tokens of removed users are not active. Each token counts once, in the nearest span. This reads every token, so call
    it at most once a minute.
    """
    row = await pool.fetchrow(
        f"""
        select count(*) filter (where ends <= '1 day') as "1d",
               count(*) filter (where ends > '1 day' and ends <= '7 days') as "7d",
               count(*) filter (where ends > '7 days' and ends <= '30 days') as "30d",
               count(*) filter (where ends > '30 days' and ends <= '90 days') as "90d",
               count(*) filter (where ends > '90 days') as later,
               count(*) filter (where ends is null) as never
          from (select expires_at - statement_timestamp() as ends
                  from token t
                 where status = 'active'
                   and not {removed("t")}) as active
         where ends is null or ends > '0'"""
    )
    return dict(row) if row else {}


class OpenAlerts(msgspec.Struct, frozen=True):
    """How many alerts are open whose latest notice is in this span, of tokens that were recently used or not."""

    notice: str
    used: bool
    count: int


async def open_alerts(pool: Pool) -> list[OpenAlerts]:
    """Return the open alerts of all accounts: those of `GET /v1/alerts` for which a notice was raised.

    `notice` is `expired`, or the shortest span that contains the notice: `1d`, `7d`, `30d`, `90d` or `later`. Every
    span is in the answer, perhaps with no alerts. This reads every open alert: ask once a minute, not once a request.
    """
    rows = await pool.fetch(
        f"""
        select s.notice, u.used, count(a.notice) as tokens
          from unnest($1::text[]) as s(notice)
         cross join unnest('{{false,true}}'::boolean[]) as u(used)
          left join (select case when t.announced = 0 then 'expired'
                                 when t.announced <= 86400 then '1d'
                                 when t.announced <= 7 * 86400 then '7d'
                                 when t.announced <= 30 * 86400 then '30d'
                                 when t.announced <= 90 * 86400 then '90d'
                                 else 'later' end as notice,
                            coalesce(t.last_exchanged_at > now() - $2::interval, false)
                            or exists (select
                                         from token_use u
                                        where (u.account_id, u.token_id) = (t.account_id, t.token_id)
                                          and u.day > (now() - $2::interval)::date) as used
                       from token t
                      where t.announced is not null
                        and t.expires_at > now() - $3::interval
                        and {ALERTING}) as a using (notice, used)
         group by s.notice, u.used""",
        _NOTICES, RECENT, KEPT,
    )  # fmt: skip
    return [OpenAlerts(row["notice"], row["used"], row["tokens"]) for row in rows]


_NOTICES: Final = ("expired", "1d", "7d", "30d", "90d", "later")
BEFORE_ALL: Final = Due(datetime.fromisoformat("0001-01-01T00:00:00+00:00"), UUID(int=0), UUID(int=0))
