"""Refused attempts, counted by account, minute, kind and subject."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from counterfoil.postgres.connection import Pool
from counterfoil.postgres.forgetting import in_batches, some_rows
from counterfoil.postgres.periods import ALWAYS, Period, during
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import tenant

KEPT: Final = timedelta(days=90)

Row = tuple[UUID, str, UUID, str, int]
"""Account, kind, subject, network, how often."""


class Attempted(msgspec.Struct, frozen=True, kw_only=True):
    """How often a kind of attempt was refused in one minute; without a subject there were several or unknown ones."""

    minute: datetime
    kind: str
    subject: UUID | None
    network: str
    count: int
    last_at: datetime

    @property
    def place(self) -> list[object]:
        """The place where the next page begins."""
        return [self.minute.isoformat(), self.kind, str(self.subject or UUID(int=0))]


async def add(pool: Pool, rows: Sequence[Row]) -> None:
    """Add these in one statement and in key order, so that two processes never deadlock."""
    await pool.execute(
        """
        insert into attempt as a (account_id, minute, kind, subject_id, network, count, last_at)
        select account_id, date_trunc('minute', c.at), kind, subject_id, network, count, c.at
          from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::bigint[])
            as n(account_id, kind, subject_id, network, count),
               (select clock_timestamp() as at) as c
            on conflict (account_id, minute, kind, subject_id)
            do update set count = a.count + excluded.count, network = excluded.network,
                          last_at = greatest(a.last_at, excluded.last_at)""",
        *zip(*sorted(rows), strict=True),
    )


@repeated
async def attempts_of(
    pool: Pool,
    account: UUID,
    *,
    kind: str | None,
    subject: UUID | None,
    after: list[object] | None,
    limit: int,
    period: Period = ALWAYS,
) -> list[Attempted]:
    """Return up to `limit` of an account's attempts in a period, the latest first, beyond a place.

    Attempts are counted by the minute: the one in which the period begins is part of it.
    """
    arguments: list[object] = [account, kind, *(after or (None, None, None)), limit, subject]
    within = during("minute", period, arguments, lasting="59.999999 seconds")
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            f"""
            select minute, kind, subject_id, network, count, last_at
              from attempt
             where account_id = $1{within}
               and ($2::text is null or kind = $2)
               and ($7::uuid is null or subject_id = $7)
               and ($3::text is null or (minute, kind, subject_id) < ($3::text::timestamptz, $4::text, $5::text::uuid))
             order by minute desc, kind desc, subject_id desc
             limit $6""",
            *arguments,
        )
    return [
        Attempted(
            minute=row["minute"], kind=row["kind"], subject=row["subject_id"] if row["subject_id"].int else None,
            network=row["network"], count=row["count"], last_at=row["last_at"],
        )
        for row in rows
    ]  # fmt: skip


async def forget(pool: Pool, *, kept: timedelta = KEPT) -> int:
    """Delete attempts that are older than `kept`; return how many."""
    old = some_rows("attempt", "old.minute < statement_timestamp() - $1::interval")
    return await in_batches(pool, f"delete from attempt where {old}", kept)
