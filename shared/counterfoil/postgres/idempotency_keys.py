"""Idempotency keys: each has one effect, and a repeated request gets the first answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from counterfoil.idempotency import REPLIES_LAST, SECRETS_LAST
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.forgetting import in_batches, some_rows

ClaimKey = tuple[UUID, bytes]


class Answered(msgspec.Struct):
    """The stored answer of a key; `reply` is None once its secret may no longer be shown."""

    body_digest: bytes
    token_id: UUID | None
    reply: bytes | None
    at: datetime


async def claim(connection: Connection, claims: Sequence[tuple[UUID, bytes, bytes]]) -> set[ClaimKey]:
    """Claim keys (account, key digest, body digest), and return those that were free.

    Waits for another transaction that is claiming one of them. Claims are sorted, so that two cannot deadlock.
    """
    ordered = sorted(claims)
    won = await connection.fetch(
        """
        insert into idempotency_key (account_id, key_digest, body_digest)
        select account_id, key_digest, body_digest
          from unnest($1::uuid[], $2::bytea[], $3::bytea[]) as c(account_id, key_digest, body_digest)
            on conflict (account_id, key_digest) do nothing
     returning account_id, key_digest""",
        *zip(*ordered, strict=True),
    )
    return {(row["account_id"], row["key_digest"]) for row in won}


async def answered(
    connection: Connection | Pool, claims: Sequence[tuple[UUID, bytes, timedelta, bytes | None]]
) -> dict[ClaimKey, Answered]:
    """Return the stored answers of these keys. Call it after `claim`, as a new statement that sees the other claims.

    Each claim has its account, key digest, how long an answer lasts, and the body digest of a request that it replaces.
    This deletes keys that are older than that, or whose body digest is replaced; they are free and not returned.
    """
    accounts, digests, lasts, replaced = zip(*claims, strict=True)
    await connection.execute(
        """
        delete from idempotency_key i
         using unnest($1::uuid[], $2::bytea[], $3::interval[], $4::bytea[])
            as k(account_id, key_digest, lasts, replaced)
         where (i.account_id, i.key_digest) = (k.account_id, k.key_digest)
           and (i.at < statement_timestamp() - k.lasts or i.body_digest = k.replaced)""",
        accounts, digests, lasts, replaced,
    )  # fmt: skip
    rows = await connection.fetch(
        """
        select i.account_id, i.key_digest, i.body_digest, i.token_id, i.at,
               case when not i.holds_secret or i.at >= clock_timestamp() - $3::interval then i.reply end as reply
          from unnest($1::uuid[], $2::bytea[]) as k(account_id, key_digest)
          join idempotency_key i on (i.account_id, i.key_digest) = (k.account_id, k.key_digest)""",
        accounts, digests, SECRETS_LAST,
    )  # fmt: skip
    return {
        (row["account_id"], row["key_digest"]): Answered(row["body_digest"], row["token_id"], row["reply"], row["at"])
        for row in rows
    }


async def store_replies(
    connection: Connection,
    answers: Sequence[tuple[UUID, bytes, UUID, bytes, bool]],
    released: Sequence[ClaimKey],
) -> None:
    """Store answers (account, key digest, token, encrypted reply, holds a secret), and release the keys of refusals."""
    if answers:
        await connection.execute(
            """
            update idempotency_key i
               set token_id = a.token_id, reply = a.reply, holds_secret = a.holds_secret
              from unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::bytea[], $5::boolean[])
                as a(account_id, key_digest, token_id, reply, holds_secret)
             where (i.account_id, i.key_digest) = (a.account_id, a.key_digest)""",
            *zip(*answers, strict=True),
        )
    if released:
        await connection.execute(
            """
            delete from idempotency_key i
             using unnest($1::uuid[], $2::bytea[]) as k(account_id, key_digest)
             where (i.account_id, i.key_digest) = (k.account_id, k.key_digest)""",
            *zip(*released, strict=True),
        )


async def forget_secrets(pool: Pool) -> int:
    """Delete replies whose secret may no longer be shown; return how many."""
    old = some_rows(
        "idempotency_key",
        "old.holds_secret and old.reply is not null and old.at < statement_timestamp() - $1::interval",
    )
    return await in_batches(pool, f"update idempotency_key set reply = null where {old}", SECRETS_LAST)


async def forget(pool: Pool) -> int:
    """Delete expired keys; return how many."""
    old = some_rows("idempotency_key", "old.at < statement_timestamp() - $1::interval")
    return await in_batches(pool, f"delete from idempotency_key where {old}", REPLIES_LAST)
