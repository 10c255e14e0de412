"""Events of a whole account, the newest first: of all subjects except tokens, and events about reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from counterfoil.core.events import Fact
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.facts import facts_in
from counterfoil.postgres.periods import ALWAYS, Period, during
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import tenant

Place: TypeAlias = tuple[datetime, UUID, int]
"""Time, subject and version of the last event of a page."""

# As in the index event_of_account: tokens have timelines of their own, and reads a list.
_KINDS: Final = "kind <> 'token' and kind <> 'access'"


async def account_events(
    pool: Pool, account: UUID, *, period: Period = ALWAYS, after: Place | None = None, limit: int
) -> list[Fact]:
    """Return up to `limit` events of a period beyond a place, except those of tokens and reads."""
    return await _latest(pool, account, _KINDS, period=period, after=after, limit=limit)


async def reads_of(
    pool: Pool,
    account: UUID,
    *,
    logs: Sequence[UUID] | None = None,
    period: Period = ALWAYS,
    after: Place | None = None,
    limit: int,
) -> list[Fact]:
    """Return up to `limit` reads of a period beyond a place: all, or those in these access logs."""
    condition = "kind = 'access' and ($6::uuid[] is null or subject_id = any($6))"
    chosen = None if logs is None else list(logs)
    return await _latest(pool, account, condition, chosen, period=period, after=after, limit=limit)


@repeated
async def _latest(
    pool: Pool, account: UUID, condition: str, *values: object, period: Period, after: Place | None, limit: int
) -> list[Fact]:
    """Return events that meet a condition, whose values are $6 and so on."""
    arguments: list[object] = [account, *(after or (None, None, None)), limit, *values]
    within = during("at", period, arguments)
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            f"""
            select entry, private
              from event
             where account_id = $1
               and {condition}{within}
               and (at, subject_id, version) < (coalesce($2::timestamptz, 'infinity'),
                                                coalesce($3::uuid, $1), coalesce($4::bigint, 0))
             order by at desc, subject_id desc, version desc
             limit $5""",
            *arguments,
        )
    return facts_in(rows)


@repeated
async def histories(pool: Pool, account: UUID, until: Mapping[UUID, int]) -> list[Fact]:
    """Return all events of each of these subjects up to a version, by subject and version."""
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
