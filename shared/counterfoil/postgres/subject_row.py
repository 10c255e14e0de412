"""The states of accounts, users, keys and other small subjects as rows, and how they are taken and saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.core import emails
from counterfoil.core.subjects import SMALL
from counterfoil.core.subjects.subject import SubjectState
from counterfoil.core.unit_of_work import Key, Locked, Row
from counterfoil.postgres.batch import Patience
from counterfoil.postgres.connection import Connection

COLUMNS: Final = (
    "account_id, subject_id, kind, number, name, status, details, created_at, updated_at, revision, version, at, leaf"
)
_OWN_FIELDS: Final = frozenset(SubjectState.__struct_fields__)


def listed(alias: str) -> str:
    """Return the columns as a select list: `s.account_id, s.subject_id, …`."""
    return ", ".join(f"{alias}.{column}" for column in COLUMNS.split(", "))


async def take(connection: Connection, keys: Sequence[Key], taken: Locked, *, patience: Patience) -> None:
    """Lock these subjects and add them to what was taken; with `skip locked`, those held by others are named."""
    accounts, ids = zip(*keys, strict=True)
    found = await connection.fetch(
        f"""
        select {COLUMNS}
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
    taken.rows |= {(row["account_id"], row["subject_id"]): Row(state_of(row), row["leaf"]) for row in found}
    taken.held |= {(row["account_id"], row["subject_id"]) for row in there} - {
        (row["account_id"], row["subject_id"]) for row in found
    }


async def versions(
    connection: Connection, account: UUID, subjects: Iterable[UUID]
) -> dict[UUID, tuple[int | None, datetime]]:
    """Return at which version each of these subjects is, None if it does not exist, and the database's time."""
    rows = await connection.fetch(
        """
        select k.subject_id, s.version, clock_timestamp() as at
          from unnest($2::uuid[]) as k(subject_id)
          left join subject s on (s.account_id, s.subject_id) = ($1, k.subject_id)""",
        account, list(subjects),
    )  # fmt: skip
    return {row["subject_id"]: (row["version"], row["at"]) for row in rows}


async def administrators(connection: Connection, accounts: Iterable[UUID]) -> dict[UUID, frozenset[UUID]]:
    """Return the active administrators of each account; true for as long as the account's row is held."""
    rows = await connection.fetch(
        """
        select s.account_id, s.subject_id
          from subject s
         where s.kind = 'user'
           and s.account_id = any($1::uuid[])
           and s.status = 'active'
           and s.details::json ->> 'role' = 'administrator'""",
        wanted := list(accounts),
    )
    return {account: frozenset(row["subject_id"] for row in rows if row["account_id"] == account) for account in wanted}


async def holders(connection: Connection, wanted: Sequence[tuple[UUID, str]]) -> dict[UUID, dict[str, frozenset[UUID]]]:
    """Return by account which of its users has each of these e-mail addresses, in whatever spelling."""
    rows = await connection.fetch(
        """
        select s.account_id, w.email, s.subject_id
          from unnest($1::uuid[], $2::text[], $3::bytea[]) as w(account_id, email, email_key)
          join subject s
            on s.account_id = w.account_id
           and s.kind = 'user'
           and s.email_key = w.email_key""",
        *zip(*((account, email, emails.key(email)) for account, email in wanted), strict=True),
    )
    found: dict[UUID, dict[str, frozenset[UUID]]] = {}
    for row in rows:
        held = found.setdefault(row["account_id"], {})
        held[row["email"]] = held.get(row["email"], frozenset()) | {row["subject_id"]}
    return found


def state_of(row: asyncpg.Record) -> SubjectState:
    """Return the state in a row that has all COLUMNS. Raises msgspec.ValidationError if its details are none."""
    own = msgspec.json.decode(row["details"])
    shared = {field: row[field] for field in _OWN_FIELDS - {"account", "id"}}
    return msgspec.convert(
        {**own, **shared, "account": row["account_id"], "id": row["subject_id"]}, SMALL[row["kind"]].state
    )


async def save(connection: Connection, rows: Iterable[tuple[str, SubjectState, bytes]]) -> None:
    """Write states, each with its kind and leaf hash, over whatever stood there."""
    await connection.execute(
        f"""
        insert into subject ({COLUMNS}, email_key)
        select {COLUMNS}, email_key
          from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                      $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::bigint[], $12::timestamptz[],
                      $13::bytea[], $14::bytea[]) as x({COLUMNS}, email_key)
            on conflict (account_id, subject_id) do update
           set name = excluded.name, status = excluded.status, details = excluded.details,
               updated_at = excluded.updated_at, revision = excluded.revision, version = excluded.version,
               at = excluded.at, leaf = excluded.leaf,
               email_key = excluded.email_key""",
        *zip(*(_cells(kind, state, leaf) for kind, state, leaf in rows), strict=True),
    )


def _cells(kind: str, state: SubjectState, leaf: bytes) -> tuple[object, ...]:
    details = {field: getattr(state, field) for field in state.__struct_fields__ if field not in _OWN_FIELDS}
    return (
        state.account, state.id, kind, state.number, state.name, state.status,
        msgspec.json.encode(details, order="sorted").decode(), state.created_at, state.updated_at, state.revision,
        state.version, state.at, leaf, emails.key(state.name) if kind == "user" and state.name is not None else None,
    )  # fmt: skip
