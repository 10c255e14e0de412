"""Expiries that were announced or have come, the most pressing first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from counterfoil.postgres.connection import Pool
from counterfoil.postgres.listing import Listed
from counterfoil.postgres.token_row import listed, token_of
from counterfoil.postgres.use import last_use

KEPT: Final = timedelta(days=30)
"""How long an expiry that has come is still an alert."""
_RECENT_DAYS: Final = 7


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A token whose expiry was announced at `at`; `threshold` is the smallest notice crossed, in seconds."""

    listed: Listed
    threshold: int
    expires_at: datetime
    at: datetime
    recent_uses: int


async def alerts_of(pool: Pool, account: UUID, *, after: list[object] | None, limit: int) -> list[Alert]:
    """Return up to `limit` alerts beyond a place (the last one's `listed.place` of the page before).

    Ordered by the notice that was crossed, and within it by recent use: what will break first and most. An alert goes
    away by itself when its token is renewed or revoked.
    """
    threshold, unused, expires_at, token_id = after or (None, None, None, None)
    rows = await pool.fetch(
        f"""
        select {listed("t")}, greatest(t.last_exchanged_at, {last_use("t")}) as last_used_at,
               t.recent_uses, clock_timestamp() as clock,
               (select e.at
                  from event e
                 where (e.account_id, e.subject_id) = (t.account_id, t.token_id)
                   and e.type <> 'exchanged'
                   and e.type in ('expiring', 'expired')
                 order by e.version desc
                 limit 1) as announced_at
          from (select n.*, coalesce(u.uses, 0) as recent_uses
                  from token n
                 cross join lateral (
                       select sum(u.count)::bigint as uses
                         from token_use u
                        where (u.account_id, u.token_id) = (n.account_id, n.token_id)
                          and u.day > current_date - $7::integer) as u
                 where n.account_id = $1
                   and n.noticed is not null
                   and n.standing <> 'revoked'
                   and n.expires_at > statement_timestamp() - $8::interval) as t
         where $2::text is null
            or (t.noticed, -t.recent_uses, t.expires_at, t.token_id)
             > ($2::text::integer, $3::text::bigint, $4::text::timestamptz, $5::text::uuid)
         order by t.noticed, t.recent_uses desc, t.expires_at, t.token_id
         limit $6""",
        account, threshold, unused, expires_at, token_id, limit, _RECENT_DAYS, KEPT,
    )  # fmt: skip
    return [
        Alert(
            listed=Listed(
                token_of(row),
                row["last_used_at"],
                row["clock"],
                [str(row["noticed"]), str(-row["recent_uses"]), row["expires_at"].isoformat(), str(row["token_id"])],
            ),
            threshold=row["noticed"],
            expires_at=row["expires_at"],
            at=row["announced_at"],
            recent_uses=row["recent_uses"],
        )
        for row in rows
    ]
