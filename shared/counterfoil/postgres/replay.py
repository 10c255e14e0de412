"""The whole log and all states at one moment, read through server-side cursors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.core.chain import StateRow, Stored
from counterfoil.core.refusals import Misconfigured
from counterfoil.postgres import token_row
from counterfoil.postgres.connection import Connection
from counterfoil.postgres.session import open_session
from counterfoil.postgres.subject_row import COLUMNS as SUBJECT_COLUMNS
from counterfoil.postgres.subject_row import state_of

S = TypeVar("S")

_TABLES: Final = ("event", "secret", "subject", "token")
_PREFETCH: Final = 1_000
"""Rows that each cursor holds in memory."""
_SETTINGS: Final = {
    "application_name": "counterfoil audit",
    "timezone": "UTC",
    "jit": "off",
    "statement_timeout": "0",  # an audit takes as long as the log is long
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "on",
}


class SecretRow(NamedTuple):
    """The token and generation that a secret opens, and its pepper, without its digest."""

    account: UUID
    subject: UUID
    generation: int
    pepper_id: int


class Snapshot:
    """Everything in one snapshot; every stream is in the order of its keys."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def count(self) -> int:
        """Return how many events there are."""
        count: int = await self._connection.fetchval("select count(*) from event")
        return count

    async def events(self) -> AsyncIterator[Stored]:
        """Yield every event by account, subject and version."""
        async for row in self._connection.cursor(
            """
            select account_id, kind, subject_id, version, type, at, entry, private, salt
              from event
             order by account_id, subject_id, version""",
            prefetch=_PREFETCH,
        ):
            yield Stored(*row)

    async def tokens(self) -> AsyncIterator[StateRow]:
        """Yield every token's row."""
        async for row in self._connection.cursor(
            f"select {token_row.listed('t')} from token t order by t.account_id, t.token_id", prefetch=_PREFETCH
        ):
            yield StateRow(row["account_id"], row["token_id"], _readable(token_row.token_of, row), row["leaf"])

    async def subjects(self) -> AsyncIterator[StateRow]:
        """Yield the row of every subject that is no token."""
        async for row in self._connection.cursor(
            f"select {SUBJECT_COLUMNS} from subject order by account_id, subject_id", prefetch=_PREFETCH
        ):
            yield StateRow(row["account_id"], row["subject_id"], _readable(state_of, row), row["leaf"])

    async def secrets(self) -> AsyncIterator[SecretRow]:
        """Yield every secret without its digest."""
        async for row in self._connection.cursor(
            "select account_id, token_id, generation, pepper_id from secret order by account_id, token_id, generation",
            prefetch=_PREFETCH,
        ):
            yield SecretRow(*row)


@asynccontextmanager
async def snapshot(url: str) -> AsyncIterator[Snapshot]:
    """Open a read-only connection that holds one snapshot."""
    connection = await open_session(url, _SETTINGS)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # Before the snapshot is taken: a table that a migration rewrites is empty in every older one.
            await connection.execute(f"lock table {', '.join(_TABLES)} in access share mode")
            await _refuse_part(connection)
            yield Snapshot(connection)
    finally:
        await connection.close()


async def _refuse_part(connection: Connection) -> None:
    """Raise for a role that row-level security shows only a part: an audit without findings would mean nothing."""
    tables = await connection.fetch(
        """
        select c.relname
          from pg_class c
         where c.relnamespace = 'public'::regnamespace
           and c.relname = any($1::text[])
           and row_security_active(c.oid)
           and (exists (select from pg_policy p where p.polrelid = c.oid and not p.polpermissive)
                or not exists (select
                                 from pg_policy p, unnest(p.polroles) as r(role)
                                where p.polrelid = c.oid
                                  and pg_get_expr(p.polqual, p.polrelid) = 'true'
                                  and pg_has_role(r.role, 'usage')))
         order by c.relname""",
        list(_TABLES),
    )
    if tables:
        hidden = ", ".join(row["relname"] for row in tables)
        raise Misconfigured(f"This database role cannot see every row of {hidden}; use the application's role.")


def _readable(read: Callable[[asyncpg.Record], S], row: asyncpg.Record) -> S | None:
    try:
        return read(row)
    except msgspec.DecodeError:
        return None
