"""Jobs over many tokens: what a filter finds, frozen in parts, and the parts as they are taken and done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.job import Job

from .connection import Pool
from .listing import LAST_USED, Filter, conditions
from .subject_row import COLUMNS, state_of
from .tenant import tenant

PART: Final = 500
"""Tokens that are done together."""
LONGEST_SECONDS: Final = 100
"""How long a million tokens may be looked at."""
_OWNERS: Final = 20
_SHOWN: Final = 20

# The set: which tokens, and with which secrets. Exchanges, verifications and changes of words leave it as it is.
_SET: Final = """
       select count(*) as tokens,
              sha256(coalesce(string_agg(uuid_send(w.token_id) || int4send(w.generation), ''::bytea
                                         order by w.token_id), ''::bytea)) as digest
         from wanted w"""


class OwnerMeant(msgspec.Struct, frozen=True, kw_only=True):
    """An owner, how many of their tokens are meant, and how many of those were used within a week."""

    type: str
    id: str
    tokens: int
    used_in_week: int


class TokenMeant(msgspec.Struct, frozen=True, kw_only=True):
    """One of those that are meant."""

    id: UUID
    number: int
    name: str | None
    owner_type: str
    owner_id: str
    last_used_at: datetime | None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a filter finds: how many, a digest of exactly which, and what is used of them."""

    digest: bytes
    tokens: int
    used_in_hour: int
    used_in_day: int
    used_in_week: int
    never_used: int
    includes: bool
    owners: list[OwnerMeant]
    used_last: list[TokenMeant]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some tokens of a job, held by whoever took them."""

    number: int
    tokens: Sequence[UUID]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is."""

    done: int
    revoked: int
    failed: int
    some_failed: Sequence[UUID]
    left: int
    at: datetime


def _wanted(wanted: Filter, arguments: list[object]) -> str:
    """Return the common table of the tokens that are meant, none of them revoked; the first argument is the account."""
    meant = " and ".join(["t.account_id = $1", "t.standing <> 'revoked'", *conditions(wanted, arguments)])
    return f"""
  with wanted as materialized (
         select t.token_id, t.number, t.generation, t.name, t.owner_type, t.owner_id, {LAST_USED} as used
           from token t
          where {meant})"""


async def look(pool: Pool, account: UUID, wanted: Filter, *, itself: UUID) -> Look:
    """Return what a filter finds, and whether `itself` is among it; nothing of it is kept in memory."""
    arguments: list[object] = [account, itself]
    found = _wanted(wanted, arguments)
    async with tenant(pool, account) as connection:
        await connection.execute(f"set local statement_timeout = '{LONGEST_SECONDS}s'")
        row = await connection.fetchrow(
            f"""{found},
       marked as (
         select w.*, w.used > statement_timestamp() - interval '1 hour' as in_hour,
                w.used > statement_timestamp() - interval '1 day' as in_day,
                w.used > statement_timestamp() - interval '7 days' as in_week
           from wanted w),
       owners as (
         select m.owner_type as "type", m.owner_id as id, count(*) as tokens,
                count(*) filter (where m.in_week) as used_in_week
           from marked m
          group by m.owner_type, m.owner_id
          order by used_in_week desc, tokens desc, m.owner_type, m.owner_id
          limit {_OWNERS:d}),
       latest as (
         select w.token_id as id, w.number, w.name, w.owner_type, w.owner_id, w.used as last_used_at
           from wanted w
          order by w.used desc nulls last, w.number
          limit {_SHOWN:d})
select s.tokens, s.digest, u.*,
       (select coalesce(json_agg(o), '[]') from owners o)::text as owners,
       (select coalesce(json_agg(l), '[]') from latest l)::text as used_last
  from ({_SET}) as s,
       (select count(*) filter (where m.in_hour) as used_in_hour, count(*) filter (where m.in_day) as used_in_day,
               count(*) filter (where m.in_week) as used_in_week, count(*) filter (where m.used is null) as never_used,
               coalesce(bool_or(m.token_id = $2), false) as includes
          from marked m) as u""",
            *arguments,
            timeout=LONGEST_SECONDS + 5,
        )
    if row is None:
        raise LookupError("an aggregate has a row")
    return _look(row)


def _look(row: asyncpg.Record) -> Look:
    lists = {name: msgspec.json.decode(row[name]) for name in ("owners", "used_last")}
    return msgspec.convert({**dict(row), **lists}, Look, strict=False, builtin_types=(bytes,))


async def stage(pool: Pool, account: UUID, wanted: Filter, *, job: UUID, digest: bytes) -> tuple[int, bytes]:
    """Freeze what a filter finds in parts, if it is what the digest says; return how many it finds, and their digest.

    All of it in one statement, and so at one moment. Doing it twice for one job freezes the same.
    """
    arguments: list[object] = [account, job, digest]
    found = _wanted(wanted, arguments)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"set local statement_timeout = '{LONGEST_SECONDS}s'")
        row = await connection.fetchrow(
            f"""{found},
       whole as materialized ({_SET}),
       numbered as (
         select w.token_id, (row_number() over (order by w.token_id) - 1) / {PART:d} as part
           from wanted w
          where (select s.digest from whole s) = $3),
       frozen as (
         insert into job_part (account_id, job_id, part, token_ids)
         select $1, $2, n.part, array_agg(n.token_id order by n.token_id)
           from numbered n
          group by n.part
             on conflict (account_id, job_id, part) do nothing)
select s.tokens, s.digest
  from whole s""",
            *arguments,
            timeout=LONGEST_SECONDS + 5,
        )
    if row is None:
        raise LookupError("an aggregate has a row")
    return row["tokens"], row["digest"]


async def open_jobs(pool: Pool) -> list[Job]:
    """Return the jobs that are not over, the oldest first."""
    rows = await pool.fetch(
        f"""
        select {COLUMNS}
          from subject
         where kind = 'job'
           and standing in ('accepted', 'running')
         order by created_at"""
    )
    return [state for state in map(state_of, rows) if isinstance(state, Job)]


@asynccontextmanager
async def part_of(pool: Pool, job: Job) -> AsyncIterator[tuple[asyncpg.pool.PoolConnectionProxy, Part] | None]:
    """Hold a part that is not done, as long as the job is open; others pass over it, and a crash lets it go."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            """
            select p.part, p.token_ids
              from job_part p
             where (p.account_id, p.job_id) = ($1, $2)
               and p.done_at is null
               and exists (select from subject s
                            where (s.account_id, s.subject_id) = ($1, $2)
                              and s.standing in ('accepted', 'running'))
             order by p.part
             limit 1
               for update of p skip locked""",
            job.account, job.id,
        )  # fmt: skip
        yield None if row is None else (connection, Part(number=row["part"], tokens=row["token_ids"]))


async def part_done(
    connection: asyncpg.pool.PoolConnectionProxy, job: Job, part: Part, *, failed: Sequence[UUID]
) -> None:
    """Note that a part is done; how many of it this job revoked is counted in the log, whoever did it and when."""
    await connection.execute(
        """
        update job_part
           set done_at = clock_timestamp(), failed = $4,
               revoked = (select count(*)
                            from event e
                           where e.account_id = $1
                             and e.subject_id = any($5::uuid[])
                             and e.type = 'revoked'
                             and e.entry::json #>> '{data,job}' = $6)
         where (account_id, job_id, part) = ($1, $2, $3)""",
        job.account, job.id, part.number, failed, part.tokens, str(job.id),
    )  # fmt: skip


async def progress(pool: Pool, job: Job) -> Progress:
    """Return how far a job is."""
    row = await pool.fetchrow(
        """
        select coalesce(sum(cardinality(p.token_ids)) filter (where p.done_at is not null), 0) as done,
               coalesce(sum(p.revoked), 0) as revoked, coalesce(sum(cardinality(p.failed)), 0) as failed,
               coalesce((array_agg(p.failed[1]) filter (where p.failed[1] is not null))[1:20], '{}') as some_failed,
               count(*) filter (where p.done_at is null) as left, statement_timestamp() as at
          from job_part p
         where (p.account_id, p.job_id) = ($1, $2)""",
        job.account, job.id,
    )  # fmt: skip
    if row is None:
        raise LookupError("an aggregate has a row")
    return Progress(**dict(row))


async def job_by_id(pool: Pool, account: UUID, job_id: UUID) -> Job | None:
    """Return a job of this account."""
    async with tenant(pool, account) as connection:
        row = await connection.fetchrow(
            f"select {COLUMNS} from subject where (account_id, subject_id, kind) = ($1, $2, 'job')", account, job_id
        )
    state = None if row is None else state_of(row)
    return state if isinstance(state, Job) else None


async def latest_jobs(
    pool: Pool, account: UUID, *, creator: UUID | None, before: tuple[datetime, UUID] | None, limit: int
) -> list[Job]:
    """Return jobs of this account, or those of one creator, the latest first."""
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            f"""
            select {COLUMNS}
              from subject
             where account_id = $1
               and kind = 'job'
               and ($2::text is null or details::json #>> '{{creator,id}}' = $2)
               and ($3::timestamptz is null or (created_at, subject_id) < ($3, $4::uuid))
             order by created_at desc, subject_id desc
             limit $5""",
            account, None if creator is None else str(creator), before and before[0], before and before[1], limit,
        )  # fmt: skip
    return [state for state in map(state_of, rows) if isinstance(state, Job)]


async def forget_unaccepted(pool: Pool) -> int:
    """Forget parts that were frozen a day ago for a job that then was not accepted; return how many."""
    status = await pool.execute(
        """
        delete from job_part p
         where p.staged_at < statement_timestamp() - interval '1 day'
           and not exists (select from subject s
                            where (s.account_id, s.subject_id) = (p.account_id, p.job_id))"""
    )
    return int(status.rpartition(" ")[2])
