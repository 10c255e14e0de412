"""Signing keys with their encrypted private parts, for the processes that sign and verify."""

from __future__ import annotations

import msgspec

from counterfoil.key import Key

from .connection import Pool
from .subject_row import listed, state_of


class StoredKey(msgspec.Struct, frozen=True):
    """A signing key and its encrypted private part."""

    key: Key
    sealed: bytes


async def signing_keys(pool: Pool) -> list[StoredKey]:
    """Return every signing key, the newest first."""
    rows = await pool.fetch(
        f"""
        select {listed("s")}, k.sealed
          from subject s
          join private_key k on (k.account_id, k.key_id) = (s.account_id, s.subject_id)
         where s.kind = 'key'
         order by s.created_at desc, s.subject_id desc"""
    )
    states = ((state_of(row), row["sealed"]) for row in rows)
    return [StoredKey(key, sealed) for key, sealed in states if isinstance(key, Key)]
