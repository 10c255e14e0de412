"""Expiries that were announced or have come, the most pressing first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.postgres import surroundings
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.listing import Listed
from counterfoil.postgres.tenant import Tenant, tenant
from counterfoil.postgres.token_row import listed, token_of
from counterfoil.postgres.use import last_use
from counterfoil.principal import Owner

KEPT: Final = timedelta(days=30)
"""How long an expiry that has come is still an alert."""
_RECENT: Final = timedelta(days=7)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A token whose expiry was announced at `at`; `threshold` is the smallest notice crossed, in seconds.

    `recent_uses` counts the verifications of seven days, and one more if the token was exchanged in that time: bearers
    may be verified where nobody tells us.
    """

    listed: Listed
    threshold: int
    expires_at: datetime
    at: datetime
    recent_uses: int


async def alerts_of(
    pool: Pool,
    account: UUID,
    *,
    owner: Owner | None = None,
    after: list[object] | None,
    limit: int,
    kept: timedelta = KEPT,
) -> list[Alert]:
    """Return up to `limit` alerts beyond a place (the last one's `listed.place` of the page before).

    With an owner they are those of this owner's tokens.

    Ordered by the notice that was crossed, within it by recent use, then by expiry. An alert goes away by itself when
    its token is renewed or revoked. One page is of one moment; between two pages an alert may move to the front, by
    crossing its next notice or by much use: who must see all of them begins again at the first page now and then.
    """
    alerts: list[Alert] = []
    async with tenant(pool, account) as connection:
        for notice in await _notices(connection, account, since=int(str(after[0])) if after else 0):
            # Notice by notice: the urgent ones are few, and ranking the many others by use would cost far more.
            place = after if after and notice == int(str(after[0])) else None
            wanted = (account, owner, notice)
            alerts += await _of_notice(connection, wanted, place, limit=limit - len(alerts), kept=kept)
            if len(alerts) == limit:
                break
    return alerts


async def _notices(connection: Tenant, account: UUID, *, since: int) -> list[int]:
    """Return the notices that tokens of this account have crossed, by one look at the index for each."""
    rows = await connection.fetch(
        """
  with recursive crossed(notice) as (
       select min(noticed) from token where account_id = $1 and noticed >= $2
        union all
       select (select min(t.noticed) from token t where t.account_id = $1 and t.noticed > c.notice)
         from crossed c
        where c.notice is not null)
select notice from crossed where notice is not null order by notice""",
        account,
        since,
    )
    return [row["notice"] for row in rows]


async def _of_notice(
    connection: Tenant,
    wanted: tuple[UUID, Owner | None, int],
    after: list[object] | None,
    *,
    limit: int,
    kept: timedelta,
) -> list[Alert]:
    """Return up to `limit` alerts of one notice, the most used first."""
    account, owner, notice = wanted
    unused, expires_at, token_id = after[1:] if after else (None, None, None)
    rows = await connection.fetch(
        f"""
  with ranked as (
       select a.token_id, a.recent_uses
         from (select n.token_id, n.expires_at,
                      (coalesce(n.last_exchanged_at > now() - $4::interval, false)::integer
                       + coalesce((select sum(u.count)
                                     from token_use u
                                    where (u.account_id, u.token_id) = (n.account_id, n.token_id)
                                      and u.day > (now() - $4::interval)::date), 0))::bigint as recent_uses
                 from token n
                where n.account_id = $1
                  and n.noticed = $2
                  and n.standing <> 'revoked'
                  and n.expires_at > now() - $3::interval
                  and ($9::text is null or (n.owner_type, n.owner_id) = ($9::text, $10::text))) as a
        where $5::text is null
           or (-a.recent_uses, a.expires_at, a.token_id)
            > ($5::text::bigint, $6::text::timestamptz, $7::text::uuid)
        order by a.recent_uses desc, a.expires_at, a.token_id
        limit $8)
select {listed("t")}, r.recent_uses, now() as clock,
       greatest(t.last_exchanged_at, {last_use("t")}) as last_used_at,
       (select e.at
          from event e
         where (e.account_id, e.subject_id) = (t.account_id, t.token_id)
           and e.type <> 'exchanged'
           and e.type in ('expiring', 'expired')
         order by e.version desc
         limit 1) as announced_at,
       {surroundings.COLUMNS}
  from ranked r
  join token t on (t.account_id, t.token_id) = ($1, r.token_id)
       {surroundings.joined("t")}
 order by r.recent_uses desc, t.expires_at, t.token_id""",
        account, notice, kept, _RECENT, unused, expires_at, token_id, limit, owner and owner.type, owner and owner.id,
    )  # fmt: skip
    return [_alert(row) for row in rows]


def _alert(row: asyncpg.Record) -> Alert:
    place = [str(row["noticed"]), str(-row["recent_uses"]), row["expires_at"].isoformat(), str(row["token_id"])]
    return Alert(
        listed=Listed(
            token_of(row), surroundings.surroundings_of(row), row["last_used_at"], row["clock"], list[object](place)
        ),
        threshold=row["noticed"],
        expires_at=row["expires_at"],
        at=row["announced_at"],
        recent_uses=row["recent_uses"],
    )
