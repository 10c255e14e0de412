"""The signing keys with their encrypted private parts, for the processes that sign and verify."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import msgspec

from counterfoil.core.principal import NIL
from counterfoil.core.subjects.signing_key_events import NewKey
from counterfoil.core.subjects.signing_keys import RING, Ring
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.subject_row import listed, state_of

VERSION: Final = f"(select v.version from subject v where (v.account_id, v.subject_id) = ('{NIL}', '{RING}'))"
"""At which version the keys are: one row by its primary key, in whatever statement asks for it."""


class StoredRing(msgspec.Struct, frozen=True):
    """The keys, and of those that sign or will the encrypted private parts."""

    ring: Ring
    encrypted: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"StoredRing(version={self.ring.version})"


async def stored_ring(connection: Connection | Pool) -> StoredRing | None:
    """Return the keys as they are; None before the first."""
    # In one statement: a private part goes in the very transaction in which its key retires.
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


async def keep(connection: Connection, account: UUID, key: NewKey) -> None:
    """Keep the private part of a key that will sign."""
    await connection.execute(
        "insert into private_key (account_id, kid, encrypted) values ($1, $2, $3)", account, key.kid, key.sealed_private
    )


async def keep_only(connection: Connection, account: UUID, kid: str) -> None:
    """Forget every private part but that of the key which signs now: none waits while one begins."""
    await connection.execute("delete from private_key where account_id = $1 and kid <> $2", account, kid)


async def forget(connection: Connection, account: UUID, kid: str) -> None:
    """Forget the private part of a key."""
    await connection.execute("delete from private_key where (account_id, kid) = ($1, $2)", account, kid)
