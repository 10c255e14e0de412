"""Accounts, users and signing keys as rows, with what is kept beside the log for them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.fold import Key, Row, Taken
from counterfoil.subjects import CreateKey, CreateUser, Made, SubjectCommand

from .batch import Patience
from .connection import Connection, Pool


async def take(connection: Connection, keys: Sequence[Key], taken: Taken, *, patience: Patience) -> None:
    """Lock these subjects and add them to what was taken; with `skip locked`, those held by others are named."""
    accounts, ids = zip(*keys, strict=True)
    found = await connection.fetch(
        f"""
        select s.account_id, s.subject_id, s.kind, s.name, s.details, s.created_at, s.version, s.at, s.leaf
          from subject s
         where (s.account_id, s.subject_id) in (select a, i from unnest($1::uuid[], $2::uuid[]) as k(a, i))
         order by s.account_id, s.subject_id
           for update of s {patience}""",
        accounts, ids,
    )  # fmt: skip
    there = await connection.fetch(
        """
        select s.account_id, s.subject_id
          from subject s
         where (s.account_id, s.subject_id) in (select a, i from unnest($1::uuid[], $2::uuid[]) as k(a, i))""",
        accounts, ids,
    )  # fmt: skip
    taken.rows |= {key: Row(None, None) for key in keys}
    taken.rows |= {(row["account_id"], row["subject_id"]): Row(made_of(row), row["leaf"]) for row in found}
    taken.held |= {(row["account_id"], row["subject_id"]) for row in there} - {
        (row["account_id"], row["subject_id"]) for row in found
    }


def made_of(row: asyncpg.Record) -> Made:
    """Return the state in a row of the table."""
    return Made(
        account=row["account_id"], id=row["subject_id"], kind=row["kind"], name=row["name"],
        details=msgspec.json.decode(row["details"]), created_at=row["created_at"], version=row["version"],
        at=row["at"],
    )  # fmt: skip


async def insert(connection: Connection, command: SubjectCommand, row: Row) -> None:
    """Insert the state and what is kept beside the log. Raises UniqueViolationError if it exists already."""
    made = row.state
    if not isinstance(made, Made):
        raise TypeError("only small subjects are kept here")
    await connection.execute(
        """
        insert into subject (account_id, subject_id, kind, name, details, created_at, version, at, leaf)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
        made.account, made.id, made.kind, made.name, msgspec.json.encode(made.details, order="sorted").decode(),
        made.created_at, made.version, made.at, row.leaf,
    )  # fmt: skip
    match command:
        case CreateUser(password_hash=hashed):
            await connection.execute(
                "insert into password (account_id, user_id, hash) values ($1, $2, $3)", made.account, made.id, hashed
            )
        case CreateKey(sealed_private=private):
            await connection.execute(
                "insert into private_key (account_id, key_id, sealed) values ($1, $2, $3)",
                made.account, made.id, private,
            )  # fmt: skip
        case _:
            pass


class KnownUser(msgspec.Struct, frozen=True):
    """A user as login needs it; `password_hash` is argon2id's own text."""

    account: UUID
    id: UUID
    role: str
    password_hash: str


async def user_by_email(pool: Pool, email: str) -> KnownUser | None:
    """Return the user with this e-mail address, whatever its case."""
    row = await pool.fetchrow(
        """
        select s.account_id, s.subject_id, s.details, p.hash
          from subject s
          join password p on (p.account_id, p.user_id) = (s.account_id, s.subject_id)
         where s.kind = 'user' and lower(s.name) = lower($1)""",
        email,
    )
    if row is None:
        return None
    role = msgspec.json.decode(row["details"], type=dict[str, str])["role"]
    return KnownUser(row["account_id"], row["subject_id"], role, row["hash"])


class StoredKey(msgspec.Struct, frozen=True):
    """A signing key as stored: its public JWK and its encrypted private part."""

    id: UUID
    kid: str
    jwk: dict[str, str]
    sealed: bytes


async def signing_keys(pool: Pool) -> list[StoredKey]:
    """Return every signing key, the newest first."""
    rows = await pool.fetch(
        """
        select s.subject_id, s.details, k.sealed
          from subject s
          join private_key k on (k.account_id, k.key_id) = (s.account_id, s.subject_id)
         where s.kind = 'key'
         order by s.created_at desc, s.subject_id desc"""
    )
    return [_stored(row["subject_id"], row["details"], row["sealed"]) for row in rows]


def _stored(key_id: UUID, details: str, sealed: bytes) -> StoredKey:
    said = msgspec.json.decode(details)
    return StoredKey(key_id, said["kid"], said["jwk"], sealed)
