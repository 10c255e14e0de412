"""What a filter finds, for a job: how many tokens and which, what would break; and all of them frozen in parts."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from .connection import Pool
from .listing import LAST_USED, Filter, conditions
from .schema_changes import repeated
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
              sha256(coalesce(string_agg(uuid_send(w.token_id) || int4send(w.generation::integer), ''::bytea
                                         order by w.token_id), ''::bytea)) as digest
         from wanted w"""

# What follows the common table `wanted`. The second argument is the token that asks.
_LOOK: Final = f""",
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
          from marked m) as u"""

# Here the second argument is the job, the third the digest that the set has to have.
# In the order of the parts, so that two who freeze the same never wait in a circle.
_STAGE: Final = f""",
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
          order by n.part
             on conflict (account_id, job_id, part)
             do update set staged_at = excluded.staged_at where job_part.done_at is null)
select s.tokens, s.digest
  from whole s"""


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


def _wanted(wanted: Filter, arguments: list[object]) -> str:
    """Return the common table of the tokens that are meant, none of them revoked; the first argument is the account."""
    meant = " and ".join(["t.account_id = $1", "t.standing <> 'revoked'", *conditions(wanted, arguments)])
    return f"""
  with wanted as materialized (
         select t.token_id, t.number, t.generation, t.name, t.owner_type, t.owner_id, {LAST_USED} as used
           from token t
          where {meant})"""


@repeated
async def look(pool: Pool, account: UUID, wanted: Filter, *, itself: UUID) -> Look:
    """Return what a filter finds, and whether `itself` is among it; nothing of it is kept in memory."""
    arguments: list[object] = [account, itself]
    found = _wanted(wanted, arguments)
    async with tenant(pool, account) as connection:
        await connection.execute(f"set local statement_timeout = '{LONGEST_SECONDS}s'")
        row = await connection.fetchrow(found + _LOOK, *arguments, timeout=LONGEST_SECONDS + 5)
    if row is None:
        raise LookupError("an aggregate has a row")
    return _look(row)


def _look(row: asyncpg.Record) -> Look:
    lists = {name: msgspec.json.decode(row[name]) for name in ("owners", "used_last")}
    return msgspec.convert({**dict(row), **lists}, Look, strict=False, builtin_types=(bytes,))


@repeated
async def stage(pool: Pool, account: UUID, wanted: Filter, *, job: UUID, digest: bytes) -> tuple[int, bytes]:
    """Freeze what a filter finds in parts, if it is what the digest says; return how many it finds, and their digest.

    All of it in one statement, and so at one moment. Doing it twice for one job freezes the same, and has it kept for
    another day: what was frozen long ago may be forgotten at any moment before the job is accepted.
    """
    arguments: list[object] = [account, job, digest]
    found = _wanted(wanted, arguments)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"set local statement_timeout = '{LONGEST_SECONDS}s'")
        row = await connection.fetchrow(found + _STAGE, *arguments, timeout=LONGEST_SECONDS + 5)
    if row is None:
        raise LookupError("an aggregate has a row")
    return row["tokens"], row["digest"]
