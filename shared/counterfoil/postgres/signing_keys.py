"""The signing keys with their encrypted private parts, for the processes that sign and verify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec

from counterfoil.core.principal import NIL
from counterfoil.core.subjects.signing_key_events import ActivateKey, NewKey, PublishKey, RemoveKey
from counterfoil.core.subjects.signing_keys import RING, Ring
from counterfoil.core.unit_of_work import Done
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.store import Store
from counterfoil.postgres.subject_row import listed, state_of

VERSION: Final = f"(select v.version from subject v where (v.account_id, v.subject_id) = ('{NIL}', '{RING}'))"
"""A subselect for the version of the signing keys: one row by its primary key."""


class StoredRing(msgspec.Struct, frozen=True):
    """The keys, and the encrypted private parts of the keys that sign now or later."""

    ring: Ring
    encrypted: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"StoredRing(version={self.ring.version})"


async def stored_ring(connection: Connection | Pool) -> StoredRing | None:
    """Return the keys as they are; None before the first."""
    # One statement, because the transaction that retires a key also deletes its private part.
    rows = await connection.fetch(
        f"""
        select {listed("s")}, k.kid, k.encrypted
          from subject s
          left join private_key k on k.account_id = s.account_id
         where (s.account_id, s.subject_id) = ($1, $2)""",
        NIL, RING,
    )  # fmt: skip
    ring = state_of(rows[0]) if rows else None
    if not isinstance(ring, Ring):
        return None
    return StoredRing(ring, {row["kid"]: row["encrypted"] for row in rows if row["kid"] is not None})


class SigningKeyStore(Store):
    """The store of the signing keys, which keeps the encrypted private parts of keys that sign now or later."""

    async def keep(self, connection: Connection, done: Sequence[Done]) -> None:
        """Write the private part of a new key, and delete those of keys that sign no more."""
        for each in done:
            match each.command:
                case PublishKey(account=account, new_key=new_key):
                    await _keep(connection, account, new_key)
                case ActivateKey(account=account, kid=kid):
                    # No other key is waiting now, so all other private parts are deleted.
                    await connection.execute(
                        "delete from private_key where account_id = $1 and kid <> $2", account, kid
                    )
                case RemoveKey(account=account, kid=kid, successor=successor):
                    await connection.execute("delete from private_key where (account_id, kid) = ($1, $2)", account, kid)
                    if successor is not None:
                        await _keep(connection, account, successor)


async def _keep(connection: Connection, account: UUID, key: NewKey) -> None:
    await connection.execute(
        "insert into private_key (account_id, kid, encrypted) values ($1, $2, $3)",
        account,
        key.kid,
        key.encrypted_private_key,
    )
