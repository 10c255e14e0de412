"""Graces that end soon while somebody still uses the previous secret, the next to end first."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.core.subjects.token.secret_uses import UNUSED, SecretUses
from counterfoil.postgres import token_context
from counterfoil.postgres.alerts import RECENT, RECENT_USES, USES_BY_DAY, read_uses
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.due import OpenAlerts
from counterfoil.postgres.last_used import last_use
from counterfoil.postgres.listing import EVERY, Filter, Listed, conditions
from counterfoil.postgres.rotation_uses import in_grace, uses_of
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import tenant
from counterfoil.postgres.token_row import listed, token_of

PLACE: Final = "grace"
"""The first element of the place of such an alert; those of expiries begin with a number."""
_TABLES: Final = ("event", "rotation_use", "subject", "token", "token_use")


class GraceAlert(msgspec.Struct, frozen=True, kw_only=True):
    """A token whose previous secret ends soon although it is in use.

    `threshold` is how many seconds before the end this was announced, and `at` when. `recent_uses` and
    `uses_by_day` are those of an Alert, `uses` those of both secrets since the rotation.
    """

    listed: Listed
    ends_at: datetime
    threshold: int
    at: datetime
    recent_uses: int
    uses_by_day: tuple[tuple[date, int], ...]
    uses: SecretUses


@repeated
async def grace_alerts_of(
    pool: Pool,
    account: UUID,
    *,
    wanted: Filter = EVERY,
    after: list[object] | None,
    limit: int,
) -> list[GraceAlert]:
    """Return up to `limit` alerts after the `listed.place` of one.

    An alert ends when the rotation is confirmed or its grace extended, with the grace, and with the token.
    """
    arguments: list[object] = [account, RECENT, *(after[1:3] if after else (None, None))]
    selected = "".join(f"\n   and {each}" for each in conditions(wanted, arguments))
    async with tenant(pool, account, *_TABLES) as connection:
        rows = await connection.fetch(
            f"""
select {listed("t")}, now() as clock, greatest(t.last_exchanged_at, {last_use("t")}) as last_used_at,
       {RECENT_USES} as recent_uses,
       {USES_BY_DAY} as uses_by_day,
       (select e.at
          from event e
         where (e.account_id, e.subject_id) = (t.account_id, t.token_id)
           and e.type <> 'exchanged'
           and e.type = 'grace_ending'
         order by e.version desc
         limit 1) as announced_at,
       {token_context.COLUMNS}
  from token t
       {token_context.joined("t")}
 where t.account_id = $1
   and t.grace_announced is not null
   and {in_grace("t")}
   and ($3::text is null or (t.previous_until, t.token_id) > ($3::text::timestamptz, $4::text::uuid)){selected}
 order by t.previous_until, t.token_id
 limit {limit:d}""",
            *arguments,
        )
        rotations = [(account, row["token_id"], row["generation"]) for row in rows]
        uses = await uses_of(connection, rotations) if rotations else {}
    return [_alert(row, uses.get((account, row["token_id"]), UNUSED)) for row in rows]


async def open_graces(pool: Pool) -> OpenAlerts:
    """Return how many of these alerts are open in all accounts; their previous secrets are in use, or they were."""
    found: int = await pool.fetchval(
        f"select count(*) from token t where t.grace_announced is not null and {in_grace('t')}"
    )
    return OpenAlerts("grace_ending", used=True, count=found)


def _alert(row: asyncpg.Record, uses: SecretUses) -> GraceAlert:
    place: list[object] = [PLACE, row["previous_until"].isoformat(), str(row["token_id"])]
    return GraceAlert(
        listed=Listed(token_of(row), token_context.context_of(row), row["last_used_at"], row["clock"], place),
        ends_at=row["previous_until"],
        threshold=row["grace_announced"],
        at=row["announced_at"],
        recent_uses=row["recent_uses"],
        uses_by_day=read_uses(row["uses_by_day"]),
        uses=uses,
    )
