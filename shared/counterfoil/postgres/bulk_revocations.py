"""Bulk revocations and their parts: find them, lock one during work, and mark it as done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.core.subjects.bulk_revocation import BulkRevocation
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.descent import planned_parts
from counterfoil.postgres.forgetting import in_batches, some_rows
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.subject_row import COLUMNS, states, states_in
from counterfoil.postgres.tenant_connection import tenant


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some tokens of a bulk revocation, locked by the worker that took them."""

    number: int
    tokens: Sequence[UUID]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress: `total` tokens in `parts`; of those that it was accepted with, `planned` are done."""

    total: int
    parts: int
    planned: int
    done: int
    revoked: int
    failed: int
    some_failed: Sequence[UUID]
    left: int
    at: datetime


async def open_bulk_revocations(pool: Pool) -> list[BulkRevocation]:
    """Return the open bulk revocations, the oldest first."""
    rows = await pool.fetch(
        f"""
        select {COLUMNS}
          from subject
         where kind = 'bulk_revocation'
           and status in ('accepted', 'running')
         order by created_at"""
    )
    return states_in(rows, BulkRevocation)


@asynccontextmanager
async def part_of(
    pool: Pool, revocation: BulkRevocation, *, last: Sequence[int] = ()
) -> AsyncIterator[tuple[asyncpg.pool.PoolConnectionProxy, Part] | None]:
    """Lock a part that is not done, if the revocation is open; others skip it, and a crash releases it.

    Those in `last` are taken in that order, when no other is left.
    """
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            """
            select p.part, p.token_ids
              from bulk_revocation_part p
             where (p.account_id, p.bulk_revocation_id) = ($1, $2)
               and p.done_at is null
               and exists (select from subject s
                            where (s.account_id, s.subject_id) = ($1, $2)
                              and s.status in ('accepted', 'running'))
             order by array_position($3::integer[], p.part) nulls first, p.part
             limit 1
               for update of p skip locked""",
            revocation.account, revocation.id, last,
        )  # fmt: skip
        yield None if row is None else (connection, Part(number=row["part"], tokens=row["token_ids"]))


async def part_done(
    connection: asyncpg.pool.PoolConnectionProxy, revocation: BulkRevocation, part: Part, *, failed: Sequence[UUID]
) -> None:
    """Mark a part as done, and count in the log how many of its tokens this revocation revoked."""
    await connection.execute(
        """
        update bulk_revocation_part
           set done_at = clock_timestamp(), failed = $4,
               revoked = (select count(*)
                            from event e
                           where e.account_id = $1
                             and e.subject_id = any($5::uuid[])
                             and e.type = 'revoked'
                             and e.entry::json #>> '{data,bulk_revocation}' = $6)
         where (account_id, bulk_revocation_id, part) = ($1, $2, $3)""",
        revocation.account, revocation.id, part.number, failed, part.tokens, str(revocation.id),
    )  # fmt: skip


async def progress(pool: Pool, revocation: BulkRevocation) -> Progress:
    """Return the progress of a bulk revocation."""
    row = await pool.fetchrow(
        """
        select coalesce(sum(cardinality(p.token_ids)), 0) as total, count(*) as parts,
               coalesce(sum(cardinality(p.token_ids)) filter (where p.done_at is not null and p.part < $3), 0)
               as planned,
               coalesce(sum(cardinality(p.token_ids)) filter (where p.done_at is not null), 0) as done,
               coalesce(sum(p.revoked), 0) as revoked, coalesce(sum(cardinality(p.failed)), 0) as failed,
               coalesce((array_agg(p.failed[1]) filter (where p.failed[1] is not null))[1:20], '{}') as some_failed,
               count(*) filter (where p.done_at is null) as left, statement_timestamp() as at
          from bulk_revocation_part p
         where (p.account_id, p.bulk_revocation_id) = ($1, $2)""",
        revocation.account, revocation.id, planned_parts(revocation),
    )  # fmt: skip
    if row is None:
        raise LookupError("an aggregate has a row")
    return Progress(**dict(row))


@repeated
async def bulk_revocation_by_id(pool: Pool, account: UUID, revocation_id: UUID) -> BulkRevocation | None:
    """Return a bulk revocation of this account."""
    async with tenant(pool, account) as connection:
        which = "(account_id, subject_id, kind) = ($1, $2, 'bulk_revocation')"
        return next(iter(await states(connection, BulkRevocation, which, account, revocation_id)), None)


@repeated
async def latest_bulk_revocations(
    pool: Pool, account: UUID, *, creator: UUID | None, before: tuple[datetime, UUID] | None, limit: int
) -> list[BulkRevocation]:
    """Return bulk revocations of this account, or those of one creator, the latest first."""
    async with tenant(pool, account) as connection:
        return await states(
            connection, BulkRevocation,
            """    account_id = $1
               and kind = 'bulk_revocation'
               and ($2::text is null or details::json #>> '{creator,id}' = $2)
               and ($3::timestamptz is null or (created_at, subject_id) < ($3, $4::uuid))
             order by created_at desc, subject_id desc
             limit $5""",
            account, None if creator is None else str(creator), before and before[0], before and before[1], limit,
        )  # fmt: skip


async def forget_unaccepted(pool: Pool) -> int:
    """Delete parts that were stored a day ago for a bulk revocation that was not accepted; return how many."""
    old = some_rows(
        "bulk_revocation_part",
        """old.staged_at < statement_timestamp() - interval '1 day'
           and not exists (select from subject s
                            where (s.account_id, s.subject_id) = (old.account_id, old.bulk_revocation_id))""",
    )
    return await in_batches(pool, f"delete from bulk_revocation_part where {old}")
