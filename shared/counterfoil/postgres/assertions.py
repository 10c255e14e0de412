"""Digests of accepted JWTs, for trusts that accept each JWT once; kept until the JWT has expired."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.forgetting import BATCH, in_batches

_KEPT: Final = "1 hour"
"""How long after its expiry a JWT is kept, so that differences between clocks do not matter."""


async def accepted(connection: Connection, asked: Sequence[tuple[UUID, UUID, bytes]]) -> set[tuple[UUID, UUID, bytes]]:
    """Return which of these (account, token, digest) were accepted before.

    The caller has locked the rows of the tokens, so a concurrent exchange has committed, or waits for this one.
    """
    rows = await connection.fetch(
        """
        select a.account_id, a.token_id, a.digest
          from unnest($1::uuid[], $2::uuid[], $3::bytea[]) as k(account_id, token_id, digest)
          join accepted_assertion a
            on (a.account_id, a.token_id, a.digest) = (k.account_id, k.token_id, k.digest)""",
        *zip(*asked, strict=True),
    )
    return {(row["account_id"], row["token_id"], row["digest"]) for row in rows}


async def keep(connection: Connection, accepted: Sequence[tuple[UUID, UUID, bytes, float]]) -> None:
    """Remember these (account, token, digest, end in seconds since 1970)."""
    rows = [(account, token, digest, datetime.fromtimestamp(end, UTC)) for account, token, digest, end in accepted]
    await connection.execute(
        """
        insert into accepted_assertion (account_id, token_id, digest, expires_at)
        select account_id, token_id, digest, expires_at
          from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::timestamptz[])
            as a(account_id, token_id, digest, expires_at)""",
        *zip(*rows, strict=True),
    )


async def forget(pool: Pool) -> int:
    """Delete the digests of expired JWTs; return how many."""
    return await in_batches(
        pool,
        f"""
        delete from accepted_assertion
         where (account_id, token_id, digest) in (
               select account_id, token_id, digest
                 from accepted_assertion
                where expires_at < clock_timestamp() - interval '{_KEPT}'
                order by expires_at
                limit {BATCH})""",
    )
