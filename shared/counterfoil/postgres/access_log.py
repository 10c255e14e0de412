"""What was read by whom, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from counterfoil.core.events import Fact
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.facts import facts_in
from counterfoil.postgres.periods import ALWAYS, Period, during
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import tenant


@repeated
async def reads_of(
    pool: Pool,
    account: UUID,
    *,
    logs: Sequence[UUID] | None = None,
    period: Period = ALWAYS,
    after: tuple[datetime, UUID, int] | None = None,
    limit: int,
) -> list[Fact]:
    """Return up to `limit` reads of a period beyond a place (time, log, version): all, or those of some readers."""
    arguments: list[object] = [account, None if logs is None else list(logs), *(after or (None, None, None)), limit]
    within = during("at", period, arguments)
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            f"""
            select entry, private
              from event
             where account_id = $1
               and kind = 'access'{within}
               and ($2::uuid[] is null or subject_id = any($2))
               and (at, subject_id, version) < (coalesce($3::timestamptz, 'infinity'),
                                                coalesce($4::uuid, $1), coalesce($5::bigint, 0))
             order by at desc, subject_id desc, version desc
             limit $6""",
            *arguments,
        )
    return facts_in(rows)
