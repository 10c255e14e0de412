"""The tokens that a filter selects for a bulk revocation: how they are used, and how they are stored as parts."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.core.subjects.bulk_revocation import Children
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.descent import DESCENT, LONGEST_SECONDS, PART, made_by, whose
from counterfoil.postgres.listing import LAST_USED, Filter, conditions
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import tenant

_OWNERS: Final = 20
_SHOWN: Final = 20

# The number of selected tokens, and a digest of their ids and generations. Uses and new names do not change it.
_SET: Final = """
       select count(*) as tokens,
              sha256(coalesce(string_agg(uuid_send(w.token_id) || int4send(w.generation::integer), ''::bytea
                                         order by w.token_id), ''::bytea)) as digest
         from selected w"""

# Follows the common table `selected`. $2 is the id of the calling token.
_LOOK: Final = f""",
       marked as (
         select w.*, w.used > statement_timestamp() - interval '1 hour' as in_hour,
                w.used > statement_timestamp() - interval '1 day' as in_day,
                w.used > statement_timestamp() - interval '7 days' as in_week
           from selected w),
       owners as (
         select m.owner_type as "type", m.owner_id as id, count(*) as tokens,
                count(*) filter (where m.in_week) as used_in_week
           from marked m
          group by m.owner_type, m.owner_id
          order by used_in_week desc, tokens desc, m.owner_type, m.owner_id
          limit {_OWNERS:d}),
       latest as (
         select w.token_id as id, w.number, w.name, w.owner_type, w.owner_id, w.used as last_used_at
           from selected w
          order by w.used desc nulls last, w.number
          limit {_SHOWN:d})
select s.tokens, s.digest, u.*, (select o.tokens from others o) as left_alone,
       (select coalesce(json_agg(o), '[]') from owners o)::text as owners,
       (select coalesce(json_agg(l), '[]') from latest l)::text as used_last
  from ({_SET}) as s,
       (select count(*) filter (where m.in_hour) as used_in_hour, count(*) filter (where m.in_day) as used_in_day,
               count(*) filter (where m.in_week) as used_in_week, count(*) filter (where m.used is null) as never_used,
               coalesce(bool_or(m.token_id = $2), false) as includes
          from marked m) as u"""

# Follows the common table `selected`. $2 is the bulk revocation, $3 the required digest of the selection, null: any.
# Inserts in the order of the parts, so that two statements with the same parts cannot deadlock.
_STAGE: Final = f""",
       whole as materialized ({_SET}),
       numbered as (
         select w.token_id, (row_number() over (order by w.token_id) - 1) / {PART:d} as part
           from selected w
          where $3::bytea is null or (select s.digest from whole s) = $3),
       frozen as (
         insert into bulk_revocation_part (account_id, bulk_revocation_id, part, token_ids)
         select $1, $2, n.part, array_agg(n.token_id order by n.token_id)
           from numbered n
          group by n.part
          order by n.part
             on conflict (account_id, bulk_revocation_id, part)
             do update set staged_at = excluded.staged_at where bulk_revocation_part.done_at is null)
select s.tokens, s.digest, (select o.tokens from others o) as left_alone
  from whole s"""


class SelectedOwner(msgspec.Struct, frozen=True, kw_only=True):
    """An owner, how many of their tokens are selected, and how many of those were used within a week."""

    type: str
    id: str
    tokens: int
    used_in_week: int


class SelectedToken(msgspec.Struct, frozen=True, kw_only=True):
    """One of the selected tokens."""

    id: UUID
    number: int
    name: str | None
    owner_type: str
    owner_id: str
    last_used_at: datetime | None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The selected tokens: how many, a digest of exactly which ones, and how they are used.

    `left_alone` counts tokens that the selected ones created, but that are not selected because of their owner.
    """

    digest: bytes
    tokens: int
    left_alone: int
    used_in_hour: int
    used_in_day: int
    used_in_week: int
    never_used: int
    includes: bool
    owners: list[SelectedOwner]
    used_last: list[SelectedToken]


_WHAT: Final = f"t.token_id, t.number, t.generation, t.name, t.owner_type, t.owner_id, {LAST_USED} as used"


def _selected(selection: Filter, children: Children | None, arguments: list[object]) -> str:
    """Return the common table of the selected tokens, without revoked ones; $1 is the account."""
    meant = " and ".join(["t.account_id = $1", *conditions(selection, arguments)])
    if children is not None:
        return _family(meant, children, arguments)
    return f"""
  with selected as materialized (
         select {_WHAT}
           from token t
          where {meant}
            and t.status <> 'revoked'),
       others as (select 0::bigint as tokens)"""


def _family(meant: str, children: Children, arguments: list[object]) -> str:
    """Return the same table with the tokens that those created at any depth, also through revoked tokens."""
    owner = children.owner
    arguments += [children.made_by, owner and owner.type, owner and owner.id]
    n = len(arguments)
    return f"""
  with recursive family (token_id) as (
         (select t.token_id from token t where {meant}
           {made_by(n - 2)})
          {DESCENT}),
       living as materialized (
         select {_WHAT}, {whose(n - 1)} as meant
           from family f
          cross join lateral (select x.* from token x where (x.account_id, x.token_id) = ($1, f.token_id) offset 0) as t
          where t.status <> 'revoked'),
       selected as materialized (select * from living l where l.meant),
       others as (select count(*) as tokens from living l where not l.meant)"""


@repeated
async def look(pool: Pool, account: UUID, selection: Filter, *, itself: UUID, children: Children | None = None) -> Look:
    """Return what a filter selects, and whether the token `itself` is selected."""
    arguments: list[object] = [account, itself]
    found = _selected(selection, children, arguments)
    async with tenant(pool, account) as connection:
        await connection.execute(f"set local statement_timeout = '{LONGEST_SECONDS}s'")
        row = await connection.fetchrow(found + _LOOK, *arguments, timeout=LONGEST_SECONDS + 5)
    if row is None:
        raise LookupError("an aggregate has a row")
    return _look(row)


def _look(row: asyncpg.Record) -> Look:
    lists = {name: msgspec.json.decode(row[name]) for name in ("owners", "used_last")}
    return msgspec.convert({**dict(row), **lists}, Look, strict=False, builtin_types=(bytes,))


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """How many tokens were stored as parts, the digest of exactly which ones, and `left_alone` as in Look."""

    tokens: int
    digest: bytes
    left_alone: int


@repeated
async def stage(
    pool: Pool,
    account: UUID,
    selection: Filter,
    *,
    revocation: UUID,
    digest: bytes | None,
    children: Children | None = None,
) -> Staged:
    """Store the selected tokens as parts of a bulk revocation, but only if the selection has this digest (None: any).

    One statement selects and stores them. A second call for the same revocation stores the same parts again, and so
    keeps them for another day: parts are deleted after a day if the bulk revocation was not accepted.
    """
    arguments: list[object] = [account, revocation, digest]
    found = _selected(selection, children, arguments)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"set local statement_timeout = '{LONGEST_SECONDS}s'")
        row = await connection.fetchrow(found + _STAGE, *arguments, timeout=LONGEST_SECONDS + 5)
    if row is None:
        raise LookupError("an aggregate has a row")
    return Staged(**dict(row))
