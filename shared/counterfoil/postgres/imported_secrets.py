"""Imported secrets: which algorithms are in use, and which token a digest opens."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from counterfoil.core.events import Fact
from counterfoil.core.imported_secrets import Algorithm
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.facts import fact_in
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import tenant


async def algorithms(pool: Pool) -> tuple[Algorithm, ...]:
    """Return the algorithms by which any imported secret is known."""
    # The second condition repeats the predicate of the index of imported secrets, so that the planner uses it.
    rows = await pool.fetch(
        """
        select a.scheme
          from (values ('sha256'), ('sha512')) as a(scheme)
         where exists (select from secret s where s.scheme = a.scheme and s.scheme <> 'counterfoil')
         order by a.scheme"""
    )
    return tuple(row["scheme"] for row in rows)


async def holders(pool: Pool, digests: Iterable[bytes]) -> dict[bytes, tuple[UUID, UUID]]:
    """Return the account and the token of each of these digests that opens one."""
    rows = await pool.fetch(
        """
        select s.digest, s.account_id, s.token_id
          from unnest($1::bytea[]) as p(digest)
          join secret s on s.digest = p.digest""",
        list(digests),
    )
    return {row["digest"]: (row["account_id"], row["token_id"]) for row in rows}


@repeated
async def creations(pool: Pool, account: UUID, tokens: Iterable[UUID]) -> dict[UUID, Fact]:
    """Return the first event of each of these tokens of one account."""
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            """
            select e.subject_id, e.entry, e.private
              from unnest($2::uuid[]) as k(token_id)
              join event e on (e.account_id, e.subject_id, e.version) = ($1, k.token_id, 1)
             where e.account_id = $1
               and e.kind = 'token'""",
            account, list(tokens),
        )  # fmt: skip
    return {row["subject_id"]: fact_in(row) for row in rows}
