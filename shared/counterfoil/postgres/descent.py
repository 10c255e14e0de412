"""Tokens that tokens created, at any depth: how many there are, and which a bulk revocation must still revoke."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from counterfoil.core.principal import Owner
from counterfoil.core.subjects.bulk_revocation import BulkRevocation
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import tenant

PART: Final = 500
"""Tokens of one part."""
LONGEST_SECONDS: Final = 100
"""How long a selection of a million tokens may take."""
DESCENT: Final = """
          union
         select c.token_id
           from family f
          cross join lateral (select x.token_id
                                from token x
                               where (x.account_id, x.creator_id) = ($1, f.token_id)
                                 and x.creator_kind = 'token'
                              offset 0) as c"""
"""The recursive part of a common table `family (token_id)` of the account $1; `union` visits nothing twice.

With `offset 0` the planner looks up each token through the index. Without it, it may read the tokens of all accounts,
because it cannot estimate the depth.
"""


def whose(first: int) -> str:
    """Return the condition that a token `t` belongs to the owner in two arguments (type, id); null: to any owner."""
    return f"(${first}::text is null or (t.owner_type, t.owner_id) = (${first}::text, ${first + 1}::text))"


def made_by(argument: int) -> str:
    """Return further first members of `family`: tokens that a user or token created, and tokens that the user owns."""
    return f"""
          union all
         select t.token_id from token t where (t.account_id, t.creator_id) = ($1, ${argument}::uuid)
          union all
         select t.token_id
           from token t
          where (t.account_id, t.owner_type, t.owner_id) = ($1, 'user', ${argument}::uuid::text)"""


# The fourth and fifth argument are the owner. Tokens that were staged before are left out, revoked or not.
_STAGE: Final = f"""
  with recursive known as materialized (
         select u.token_id
           from bulk_revocation_part p, unnest(p.token_ids) as u(token_id)
          where (p.account_id, p.bulk_revocation_id) = ($1, $2)),
       family (token_id) as (
         (select k.token_id from known k {made_by(3)})
          {DESCENT}),
       numbered as (
         select t.token_id, $6 + (row_number() over (order by t.token_id) - 1) / {PART:d} as part
           from family f
          cross join lateral (select x.* from token x where (x.account_id, x.token_id) = ($1, f.token_id) offset 0) as t
          where t.status <> 'revoked'
            and {whose(4)}
            and not exists (select from known k where k.token_id = t.token_id)),
       staged as (
         insert into bulk_revocation_part (account_id, bulk_revocation_id, part, token_ids)
         select $1, $2, n.part, array_agg(n.token_id order by n.token_id)
           from numbered n
          group by n.part
      returning cardinality(token_ids) as tokens)
select coalesce(sum(s.tokens), 0)::bigint
  from staged s"""


@repeated
async def children_of(
    pool: Pool, account: UUID, creator: UUID, *, owner: Owner | None, but: Owner | None = None
) -> int:
    """Return how many unrevoked tokens this user or token created, of any owner or of this one."""
    async with tenant(pool, account) as connection:
        found: int = await connection.fetchval(
            f"""
            select count(*)
              from token t
             where (t.account_id, t.creator_id) = ($1, $2)
               and t.status <> 'revoked'
               and {whose(3)}
               and ($5::text is null or (t.owner_type, t.owner_id) <> ($5::text, $6::text))""",
            account, creator, owner and owner.type, owner and owner.id, but and but.type, but and but.id,
        )  # fmt: skip
    return found


async def moment(pool: Pool) -> str:
    """Return a transaction id that is greater than those of all transactions which began to write before."""
    found: str = await pool.fetchval("select pg_current_xact_id()::text")
    return found


async def settled(pool: Pool, since: str) -> bool:
    """Return whether all transactions have ended that began to write before this moment.

    A batch of the door has a transaction id before it reads the state of its callers. So once a revocation is committed
    and all transactions before it have ended, every token that the revoked token created is visible.
    """
    found: bool = await pool.fetchval("select pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8", since)
    return found


@repeated
async def stage_children(pool: Pool, revocation: BulkRevocation, *, parts: int) -> int | None:
    """Store unrevoked children of its tokens, which are in no part yet, as further parts; return how many tokens.

    Return None if another process is doing it, or if there are not exactly `parts` parts that are all done.
    """
    children = revocation.children
    if children is None:
        return 0
    owner = children.owner
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"set local statement_timeout = '{LONGEST_SECONDS}s'")
        # Two processes at once would store a token twice. With the lock, the second one sees the parts of the first.
        if not await connection.fetchval(
            "select pg_try_advisory_xact_lock(hashtextextended($1, 0))", str(revocation.id)
        ):
            return None
        row = await connection.fetchrow(
            """
            select count(*) as parts, count(*) filter (where p.done_at is null) as left,
                   coalesce(max(p.part), -1) as last
              from bulk_revocation_part p
             where (p.account_id, p.bulk_revocation_id) = ($1, $2)""",
            revocation.account, revocation.id,
        )  # fmt: skip
        if row is None or row["parts"] != parts or row["left"]:
            return None
        found: int = await connection.fetchval(
            _STAGE, revocation.account, revocation.id, children.made_by, owner and owner.type, owner and owner.id,
            max(row["last"] + 1, planned_parts(revocation)), timeout=LONGEST_SECONDS + 5,
        )  # fmt: skip
    return found


def planned_parts(revocation: BulkRevocation) -> int:
    """Return how many parts a bulk revocation was accepted with; later parts hold tokens that were found later."""
    return -(-revocation.total // PART)
