"""The second wall: what a tenant is shown is read by a role that sees this tenant's rows and no others.

Every statement of ours names the account it means. Should one ever forget to, row-level security still shows nothing
foreign; without an account it shows nothing at all. What grants.py gives this role is all that can be read so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias
from uuid import UUID

import asyncpg

from .connection import Pool
from .grants import READER, SETTING

Tenant: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


@asynccontextmanager
async def tenant(pool: Pool, account: UUID) -> AsyncIterator[Tenant]:
    """Lend a connection that sees one account's rows, as of one moment, and can change nothing.

    Role and account last as long as the transaction does, so that no pool and no pooler can carry them to the next one.
    """
    async with pool.acquire() as connection:
        try:
            # This goes as text: made of a number, an id can be nothing but an id.
            await connection.execute(
                f"begin isolation level repeatable read, read only; set local role {READER};"
                f" set local {SETTING} = '{UUID(int=account.int)}'"
            )
            yield connection
        finally:
            await _end(connection)


async def _end(connection: Tenant) -> None:
    """End the transaction, failed or not; a connection that is still in it must never be lent again."""
    try:
        await connection.execute("commit")
    except BaseException:
        connection.terminate()
        raise
