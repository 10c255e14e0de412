"""Expired tokens and tokens that expire soon, the most urgent first."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.postgres import token_context
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.last_used import last_use
from counterfoil.postgres.listing import EVERY, EXPIRY, NO_SESSION, Filter, Listed, conditions
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import Tenant, tenant
from counterfoil.postgres.token_row import listed, token_of

KEPT: Final = timedelta(days=30)
"""How long an expired token stays an alert."""
SOON: Final = timedelta(days=1)
"""Tokens that expire within this time are counted even if no notice was raised."""
MOST_COUNTED: Final = 1_000
_TABLES: Final = ("event", "subject", "token", "token_use")
RECENT: Final = timedelta(days=7)
"""Uses within this time are recent: of today and of the six days before, in UTC."""
_SPANS: Final = (timedelta(0), SOON, timedelta(days=7), timedelta(days=30), timedelta(days=90))
"""Time to expiry is ranked in these steps: expired, up to 1 day, 7, 30 and 90 days, and longer. Tokens of one step rank
by their use."""


ALERTING: Final = f"t.status <> 'revoked' and {NO_SESSION} and not {token_context.removed('t')}"


RECENT_USES: Final = """(coalesce(t.last_exchanged_at > now() - $2::interval, false)::integer
                       + coalesce((select sum(u.count)
                                     from token_use u
                                    where (u.account_id, u.token_id) = (t.account_id, t.token_id)
                                      and u.day > (now() - $2::interval)::date), 0))::bigint"""
USES_BY_DAY: Final = """(select json_agg(json_build_array(d.day, d.uses) order by d.day)::text
          from (select u.day, sum(u.count)::bigint as uses
                  from token_use u
                 where (u.account_id, u.token_id) = (t.account_id, t.token_id)
                   and u.day > (now() - $2::interval)::date
                 group by u.day) as d)"""
"""SQL for the recent uses of a token `t`, and for its uses by day, as `read_uses` reads them; $2 is RECENT."""


_REFUSED: Final = f"(t.status = 'suspended' or {token_context.disabled('t')})"
"""Whether a token is refused already, so that its expiry breaks nothing."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A token that expires soon or has expired.

    `threshold` is the latest notice of its present lifetime, in seconds before expiry, and `at` the time when it was
    raised; both are None without a notice. `recent_uses` counts the verifications of RECENT, and one more if the
    token was exchanged in that time: services may verify bearers without calling us. `uses_by_day` has the days with
    verifications, in order.
    """

    listed: Listed
    threshold: int | None
    expires_at: datetime
    at: datetime | None
    recent_uses: int
    uses_by_day: tuple[tuple[date, int], ...]


class _Group(NamedTuple):
    """Tokens of the same urgency: those that fulfil `condition` on a token `t`, in which $8 and $9 are `values`."""

    rank: int
    condition: str
    values: tuple[object, object]


@repeated
async def alerts_of(
    pool: Pool,
    account: UUID,
    *,
    wanted: Filter = EVERY,
    used: bool | None = None,
    after: list[object] | None,
    limit: int,
    kept: timedelta = KEPT,
) -> list[Alert]:
    """Return up to `limit` alerts for tokens whose notice was raised, after the `listed.place` of an alert.

    `used` selects the tokens with recent uses, or those without.

    The order is by notice; then come active tokens before suspended ones and those of disabled users; then it is by
    recent use, and by expiry. An alert ends when its token is renewed or revoked.
    A page shows one moment. Between two pages an alert can move to the front, because its next notice was raised or
    because it was used more; a client that needs every alert reads again from the first page from time to time.
    """
    condition = "t.announced = $8 and t.expires_at > now() - $9::interval"
    async with tenant(pool, account, *_TABLES) as connection:
        # One query for each notice: few tokens have urgent notices, and ranking all tokens by use costs far more.
        notices = await _notices(connection, account, since=_rank(after))
        groups = [_Group(notice, condition, (notice, kept)) for notice in notices]
        return await _page(connection, account, groups, wanted, used=used, after=after, limit=limit)


@repeated
async def expiring_within(
    pool: Pool,
    account: UUID,
    window: timedelta,
    *,
    at: datetime,
    wanted: Filter = EVERY,
    used: bool | None = None,
    after: list[object] | None,
    limit: int,
    kept: timedelta = KEPT,
) -> list[Alert]:
    """Return up to `limit` tokens that expire within the window from `at` on, or expired at most `kept` before it.

    It returns tokens with and without a notice. The order is by _SPANS, and then as in `alerts_of`. If all
    pages have the same `at`, only further use changes the order between them.
    """
    edges = [-kept, *(span for span in _SPANS if span < window), window]
    condition = f"({EXPIRY}) > $8 and ({EXPIRY}) <= $9"
    groups = [_Group(n, condition, (at + start, at + end)) for n, (start, end) in enumerate(pairwise(edges))]
    async with tenant(pool, account, *_TABLES) as connection:
        return await _page(connection, account, groups, wanted, used=used, after=after, limit=limit)


@repeated
async def unannounced(pool: Pool, account: UUID, *, wanted: Filter = EVERY) -> int:
    """Return how many tokens expire within a day without a notice; at most MOST_COUNTED."""
    arguments: list[object] = [account, SOON]
    selected = conditions(wanted, arguments)
    async with tenant(pool, account) as connection:
        found: int = await connection.fetchval(
            f"""
            select count(*)
              from (select
                      from token t
                     where t.account_id = $1
                       and ({EXPIRY}) > now()
                       and ({EXPIRY}) <= now() + $2::interval
                       and t.announced is null
                       and {" and ".join([ALERTING, *selected])}
                     limit {MOST_COUNTED:d}) as found""",
            *arguments,
        )
    return found


def _rank(after: list[object] | None) -> int:
    """Return the rank of the group in which a place is."""
    return int(str(after[0])) if after else 0


async def _page(
    connection: Tenant,
    account: UUID,
    groups: list[_Group],
    wanted: Filter,
    *,
    used: bool | None,
    after: list[object] | None,
    limit: int,
) -> list[Alert]:
    alerts: list[Alert] = []
    for group in groups:
        if group.rank >= _rank(after) and len(alerts) < limit:
            place = after if group.rank == _rank(after) else None
            alerts += await _of_group(
                connection, account, group, wanted, used=used, after=place, limit=limit - len(alerts)
            )
    return alerts


async def _notices(connection: Tenant, account: UUID, *, since: int) -> list[int]:
    """Return the notices, from `since` on, that were raised for tokens of this account: one index look-up for each."""
    rows = await connection.fetch(
        """
  with recursive crossed(notice) as (
       select min(announced) from token where account_id = $1 and announced >= $2
        union all
       select (select min(t.announced) from token t where t.account_id = $1 and t.announced > c.notice)
         from crossed c
        where c.notice is not null)
select notice from crossed where notice is not null order by notice""",
        account,
        since,
    )
    return [row["notice"] for row in rows]


async def _of_group(
    connection: Tenant,
    account: UUID,
    group: _Group,
    wanted: Filter,
    *,
    used: bool | None,
    after: list[object] | None,
    limit: int,
) -> list[Alert]:
    """Return up to `limit` alerts of one group: those that break something first, the most used of them first."""
    arguments: list[object] = [account, RECENT, *(after[1:5] if after else (None,) * 4), used, *group.values]
    where = " and ".join([group.condition, ALERTING, *conditions(wanted, arguments)])
    rows = await connection.fetch(
        f"""
  with ranked as (
       select a.token_id, a.refused, a.recent_uses
         from (select t.token_id, t.expires_at, case when {_REFUSED} then 1 else 0 end as refused,
                      {RECENT_USES} as recent_uses
                 from token t
                where t.account_id = $1
                  and {where}) as a
        where ($3::text is null
               or (a.refused, -a.recent_uses, a.expires_at, a.token_id)
                > ($3::text::integer, $4::text::bigint, $5::text::timestamptz, $6::text::uuid))
          and ($7::boolean is null or (a.recent_uses > 0) = $7)
        order by a.refused, a.recent_uses desc, a.expires_at, a.token_id
        limit {limit:d})
select {listed("t")}, r.refused, r.recent_uses, now() as clock,
       greatest(t.last_exchanged_at, {last_use("t")}) as last_used_at,
       {USES_BY_DAY} as uses_by_day,
       case when t.announced is not null
            then (select e.at
                    from event e
                   where (e.account_id, e.subject_id) = (t.account_id, t.token_id)
                     and e.type <> 'exchanged'
                     and e.type in ('expiring', 'expired')
                   order by e.version desc
                   limit 1) end as announced_at,
       {token_context.COLUMNS}
  from ranked r
  join token t on (t.account_id, t.token_id) = ($1, r.token_id)
       {token_context.joined("t")}
 order by r.refused, r.recent_uses desc, t.expires_at, t.token_id""",
        *arguments,
    )
    return [_alert(row, group.rank) for row in rows]


def _alert(row: asyncpg.Record, rank: int) -> Alert:
    use = str(row["refused"]), str(-row["recent_uses"])
    place = [str(rank), *use, row["expires_at"].isoformat(), str(row["token_id"])]
    return Alert(
        listed=Listed(
            token_of(row), token_context.context_of(row), row["last_used_at"], row["clock"], list[object](place)
        ),
        threshold=row["announced"],
        expires_at=row["expires_at"],
        at=row["announced_at"],
        recent_uses=row["recent_uses"],
        uses_by_day=read_uses(row["uses_by_day"]),
    )


def read_uses(text: str | None) -> tuple[tuple[date, int], ...]:
    """Return what USES_BY_DAY gives: the days with verifications, in order."""
    return msgspec.json.decode(text or "[]", type=tuple[tuple[date, int], ...])
