"""What happened in an account beside its tokens: to the account, its users, its catalogue and its bulk revocations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from counterfoil.core.events import Fact
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.facts import facts_in
from counterfoil.postgres.periods import ALWAYS, Period, during
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import tenant

# As in the index event_of_account: tokens have timelines of their own, and reads a list.
_KINDS: Final = "kind <> 'token' and kind <> 'access'"


@repeated
async def account_events(
    pool: Pool,
    account: UUID,
    *,
    period: Period = ALWAYS,
    after: tuple[datetime, UUID, int] | None = None,
    limit: int,
) -> list[Fact]:
    """Return up to `limit` events of a period beyond a place (time, subject, version), the newest first."""
    arguments: list[object] = [account, *(after or (None, None, None)), limit]
    within = during("at", period, arguments)
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            f"""
            select entry, private
              from event
             where account_id = $1
               and {_KINDS}{within}
               and ($2::timestamptz is null or (at, subject_id, version) < ($2, $3::uuid, $4::bigint))
             order by at desc, subject_id desc, version desc
             limit $5""",
            *arguments,
        )
    return facts_in(rows)


@repeated
async def histories(pool: Pool, account: UUID, until: Mapping[UUID, int]) -> list[Fact]:
    """Return all that happened to each of these subjects, up to a version; one subject after the other, in order."""
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            f"""
            select e.entry, e.private
              from unnest($2::uuid[], $3::bigint[]) as w(subject_id, version)
              join event e on e.account_id = $1 and e.subject_id = w.subject_id and e.version <= w.version
             where e.account_id = $1
               and {_KINDS}
             order by e.subject_id, e.version""",
            account, list(until), list(until.values()),
        )  # fmt: skip
    return facts_in(rows)
