"""Expired tokens and tokens that expire soon, the most urgent first."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.core.principal import Owner
from counterfoil.postgres import token_context
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.last_used import last_use
from counterfoil.postgres.listing import EXPIRY, NO_SESSION, Listed
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import Tenant, tenant
from counterfoil.postgres.token_row import listed, token_of

KEPT: Final = timedelta(days=30)
"""How long an expired token stays an alert."""
SOON: Final = timedelta(days=1)
"""A token that expires within this time is always an alert, even without a notice."""
MOST_COUNTED: Final = 1_000
_TABLES: Final = ("event", "subject", "token", "token_use")
_RECENT: Final = timedelta(days=7)
_SPANS: Final = (timedelta(0), SOON, timedelta(days=7), timedelta(days=30), timedelta(days=90))
"""What lies within the first of these that fits is equally pressing; beyond the last one all is."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A token that expires soon or has expired.

    `threshold` is the smallest notice raised of its present lifetime, in seconds, and `at` when; None: no notice.
    `recent_uses` counts the verifications of seven days, and one more if the token was exchanged in that time: bearers
    may be verified where nobody tells us.
    """

    listed: Listed
    threshold: int | None
    expires_at: datetime
    at: datetime | None
    recent_uses: int


class _Whose(NamedTuple):
    """Whose tokens: of everybody in the account, of one owner, or those that one user or token made."""

    account: UUID
    owner: Owner | None
    creator: UUID | None

    @property
    def values(self) -> tuple[object, ...]:
        """The values of a condition on an owner's type and id and on a creator."""
        return (self.owner and self.owner.type, self.owner and self.owner.id, self.creator)


class _Group(NamedTuple):
    """Tokens that are equally pressing: `condition` is one on a token `t`, whose values are $9 and $10."""

    rank: int
    condition: str
    values: tuple[object, object]


@repeated
async def alerts_of(
    pool: Pool,
    account: UUID,
    *,
    owner: Owner | None = None,
    creator: UUID | None = None,
    after: list[object] | None,
    limit: int,
    kept: timedelta = KEPT,
) -> list[Alert]:
    """Return up to `limit` announced expiries beyond a place (the last one's `listed.place` of the page before).

    With an owner they are those of this owner's tokens, with a creator those of the tokens that this one made.

    Ordered by the notice that was crossed, within it by recent use, then by expiry. An alert goes away by itself when
    its token is renewed or revoked. One page is of one moment; between two pages an alert may move to the front, by
    crossing its next notice or by much use: who must see all of them begins again at the first page now and then.
    """
    condition = "t.announced = $9 and t.expires_at > now() - $10::interval"
    async with tenant(pool, account, *_TABLES) as connection:
        # Notice by notice: the urgent ones are few, and ranking the many others by use would cost far more.
        notices = await _notices(connection, account, since=int(str(after[0])) if after else 0)
        groups = [_Group(notice, condition, (notice, kept)) for notice in notices]
        return await _of_groups(connection, _Whose(account, owner, creator), groups, after, limit=limit)


@repeated
async def expiring_within(
    pool: Pool,
    account: UUID,
    window: timedelta,
    *,
    at: datetime,
    owner: Owner | None = None,
    creator: UUID | None = None,
    after: list[object] | None,
    limit: int,
    kept: timedelta = KEPT,
) -> list[Alert]:
    """Return up to `limit` tokens that expire within the window from `at` on, or have expired since `kept` before it.

    Whether a notice was raised does not matter. Ordered as alerts are: those that have expired come first, then those
    that do so within a day, 7 days, 30, 90, and later; within each the most used first. With one `at` for all pages,
    the order changes between two of them by use alone.
    """
    edges = [-kept, *(span for span in _SPANS if span < window), window]
    condition = f"({EXPIRY}) > $9 and ({EXPIRY}) <= $10"
    groups = [_Group(n, condition, (at + start, at + end)) for n, (start, end) in enumerate(pairwise(edges))]
    async with tenant(pool, account, *_TABLES) as connection:
        return await _of_groups(connection, _Whose(account, owner, creator), groups, after, limit=limit)


@repeated
async def unannounced(pool: Pool, account: UUID, *, owner: Owner | None = None, creator: UUID | None = None) -> int:
    """Return how many tokens expire within a day and were announced by no notice; at most MOST_COUNTED."""
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            f"""
            select count(*) as tokens
              from (select
                      from token t
                     where t.account_id = $1
                       and ({EXPIRY}) > now()
                       and ({EXPIRY}) <= now() + $2::interval
                       and t.status <> 'revoked'
                       and t.announced is null
                       and {NO_SESSION}
                       and not {token_context.removed("t")}
                       and ($3::text is null or (t.owner_type, t.owner_id) = ($3::text, $4::text))
                       and ($5::uuid is null or t.creator_id = $5::uuid)
                     limit {MOST_COUNTED:d}) as found""",
            account, SOON, *_Whose(account, owner, creator).values,
        )  # fmt: skip
    return sum(row["tokens"] for row in rows)


async def _of_groups(
    connection: Tenant, whose: _Whose, groups: list[_Group], after: list[object] | None, *, limit: int
) -> list[Alert]:
    alerts: list[Alert] = []
    since = int(str(after[0])) if after else 0
    for group in groups:
        if group.rank < since:
            continue
        place = after if group.rank == since else None
        alerts += await _of_group(connection, whose, group, place, limit=limit - len(alerts))
        if len(alerts) == limit:
            break
    return alerts


async def _notices(connection: Tenant, account: UUID, *, since: int) -> list[int]:
    """Return the notices that tokens of this account have crossed, by one look at the index for each."""
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
    connection: Tenant, whose: _Whose, group: _Group, after: list[object] | None, *, limit: int
) -> list[Alert]:
    """Return up to `limit` alerts of one group, the most used first."""
    unused, expires_at, token_id = after[1:4] if after else (None, None, None)
    rows = await connection.fetch(
        f"""
  with ranked as (
       select a.token_id, a.recent_uses
         from (select t.token_id, t.expires_at,
                      (coalesce(t.last_exchanged_at > now() - $2::interval, false)::integer
                       + coalesce((select sum(u.count)
                                     from token_use u
                                    where (u.account_id, u.token_id) = (t.account_id, t.token_id)
                                      and u.day > (now() - $2::interval)::date), 0))::bigint as recent_uses
                 from token t
                where t.account_id = $1
                  and {group.condition}
                  and t.status <> 'revoked'
                  and {NO_SESSION}
                  and not {token_context.removed("t")}
                  and ($6::text is null or (t.owner_type, t.owner_id) = ($6::text, $7::text))
                  and ($8::uuid is null or t.creator_id = $8::uuid)) as a
        where $3::text is null
           or (-a.recent_uses, a.expires_at, a.token_id)
            > ($3::text::bigint, $4::text::timestamptz, $5::text::uuid)
        order by a.recent_uses desc, a.expires_at, a.token_id
        limit {limit:d})
select {listed("t")}, r.recent_uses, now() as clock,
       greatest(t.last_exchanged_at, {last_use("t")}) as last_used_at,
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
 order by r.recent_uses desc, t.expires_at, t.token_id""",
        whose.account, _RECENT, unused, expires_at, token_id, *whose.values, *group.values,
    )  # fmt: skip
    return [_alert(row, group.rank) for row in rows]


def _alert(row: asyncpg.Record, rank: int) -> Alert:
    place = [str(rank), str(-row["recent_uses"]), row["expires_at"].isoformat(), str(row["token_id"])]
    return Alert(
        listed=Listed(
            token_of(row), token_context.context_of(row), row["last_used_at"], row["clock"], list[object](place)
        ),
        threshold=row["announced"],
        expires_at=row["expires_at"],
        at=row["announced_at"],
        recent_uses=row["recent_uses"],
    )
