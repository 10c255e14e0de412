"""Row-level security: a tenant's reads use a database role that sees this tenant's rows and no others.

Every statement names its account. If one ever does not, row-level security still hides the rows of other accounts;
without an account it hides all rows. This role can read only what grants.py lists.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias
from uuid import UUID

import asyncpg

from counterfoil.postgres.connection import Pool
from counterfoil.postgres.grants import READER, SETTING
from counterfoil.postgres.schema_changes import OUTDATED

Tenant: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


@asynccontextmanager
async def tenant(pool: Pool, account: UUID, *at_one_moment: str) -> AsyncIterator[Tenant]:
    """Lend a connection that sees one account's rows, and can change nothing.

    Use it for one statement, or name the tables `at_one_moment` that several statements must see in one snapshot.
    Decorate the caller with `repeated` (see `schema_changes`), because a migration may make the transaction fail.

    Role and account last as long as the transaction does, so that no pool and no pooler can carry them to the next one.
    """
    # `set` takes no parameters. An id that is built from a number is safe as text.
    alone = f"set local role {READER}; set local {SETTING} = '{UUID(int=account.int)}'"
    async with _transaction(pool, f"{_begin(at_one_moment)}; {alone}") as connection:
        yield connection


@asynccontextmanager
async def moment(pool: Pool, *tables: str) -> AsyncIterator[Tenant]:
    """Lend a connection that sees these tables at one moment, all accounts, and can change nothing."""
    async with _transaction(pool, _begin(tables)) as connection:
        yield connection


def _begin(at_one_moment: Sequence[str]) -> str:
    """Return SQL that begins a transaction which sees these tables as they are at one moment.

    A table that a migration has rewritten is empty in every snapshot that is older (PostgreSQL 13.6), so they are
    locked before the first statement takes the snapshot. One statement alone takes its own when it has its locks.
    """
    if not at_one_moment:
        return "begin isolation level read committed, read only"
    tables = ", ".join(sorted(at_one_moment))
    return f"begin isolation level repeatable read, read only; lock table {tables} in access share mode"


@asynccontextmanager
async def _transaction(pool: Pool, begin: str) -> AsyncIterator[Tenant]:
    async with pool.acquire() as connection:
        try:
            await connection.execute(begin)
            yield connection
        except OUTDATED:
            await connection.reload_schema_state()  # asyncpg forgets by itself what failed, but for cursors
            raise
        finally:
            await _end(connection)


async def _end(connection: Tenant) -> None:
    """End the transaction, failed or not; a connection that is still in it must never be lent again."""
    try:
        await connection.execute("commit")
    except BaseException:
        connection.terminate()
        raise
