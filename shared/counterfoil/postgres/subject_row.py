"""The rows of accounts, users, keys and other subjects except tokens: lock, read and save them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.core import emails
from counterfoil.core.kinds import KINDS
from counterfoil.core.locked import Locked, Row
from counterfoil.core.subjects.subject import Key, SubjectState
from counterfoil.postgres.batch import Patience
from counterfoil.postgres.connection import Connection
from counterfoil.postgres.tenant_connection import Tenant

S = TypeVar("S", bound=SubjectState)

COLUMNS: Final = (
    "account_id, subject_id, kind, number, name, status, details, created_at, updated_at, revision, version, at, leaf"
)
_OWN_FIELDS: Final = frozenset(SubjectState.__struct_fields__)


def listed(alias: str) -> str:
    """Return the columns as a select list: `s.account_id, s.subject_id, …`."""
    return ", ".join(f"{alias}.{column}" for column in COLUMNS.split(", "))


async def take(connection: Connection, keys: Sequence[Key], locked: Locked, *, patience: Patience) -> None:
    """Lock these subjects and add their rows to `locked`; rows that other transactions have locked go to `held`."""
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
    locked.rows |= {key: Row(None, None) for key in keys}
    locked.rows |= {(row["account_id"], row["subject_id"]): Row(state_of(row), row["leaf"]) for row in found}
    locked.held |= {(row["account_id"], row["subject_id"]) for row in there} - {
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


def state_of(row: asyncpg.Record) -> SubjectState:
    """Return the state in a row that has all COLUMNS. Raises msgspec.ValidationError if its details are none."""
    own = msgspec.json.decode(row["details"])
    shared = {field: row[field] for field in _OWN_FIELDS - {"account", "id"}}
    return msgspec.convert(
        {**own, **shared, "account": row["account_id"], "id": row["subject_id"]}, KINDS[row["kind"]].state
    )


def states_in(rows: Iterable[asyncpg.Record], kind: type[S]) -> list[S]:
    """Return the states in rows that have all COLUMNS, as far as they are of this kind."""
    return [state for state in map(state_of, rows) if isinstance(state, kind)]


async def states(connection: Tenant, kind: type[S], which: str, *values: object) -> list[S]:
    """Return the states of a kind whose rows meet `which`, a condition that an order and a limit may follow.

    It takes a tenant's connection and no pool, so that it always reads under row-level security.
    """
    return states_in(await connection.fetch(f"select {COLUMNS} from subject where {which}", *values), kind)


async def save(connection: Connection, rows: Iterable[tuple[str, Row]]) -> None:
    """Insert or replace rows, each with its kind."""
    cells = [_cells(kind, row.state, row.leaf) for kind, row in rows if row.state is not None and row.leaf is not None]
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
        *zip(*cells, strict=True),
    )


def _cells(kind: str, state: SubjectState, leaf: bytes) -> tuple[object, ...]:
    details = {field: getattr(state, field) for field in state.__struct_fields__ if field not in _OWN_FIELDS}
    return (
        state.account, state.id, kind, state.number, state.name, state.status,
        msgspec.json.encode(details, order="sorted").decode(), state.created_at, state.updated_at, state.revision,
        state.version, state.at, leaf, emails.key(state.name) if kind == "user" and state.name is not None else None,
    )  # fmt: skip
