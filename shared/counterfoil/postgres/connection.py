"""Connections to Postgres, and the errors that mean that one was lost."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias

import asyncpg

from counterfoil.postgres.schema_changes import SteadyConnection
from counterfoil.postgres.session import PATIENCE_SECONDS, arrange, open_session

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg raises it if the server was killed during a message
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,  # too many connections, a full disk
    asyncpg.ReadOnlySQLTransactionError,  # the primary became a replica
)
"""Errors of a lost server or connection; they do not say whether a pending COMMIT happened."""

SETTINGS: Final = {
    "application_name": "counterfoil",
    "timezone": "UTC",
    "jit": "off",
    # These three are needed whatever the server's defaults are: an acknowledged commit is on disk, each statement sees
    # all earlier commits, and the server sends the warning of a commit that no replica has confirmed.
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "client_min_messages": "warning",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "1min",
    # The frequent statements look up a few hundred keys. The server plans them once, perhaps with empty tables;
    # without these settings it could choose a sequential scan, which is too slow at a million rows.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_READER: Final = {
    key: value for key, value in SETTINGS.items() if not key.startswith(("plan_", "enable_"))
}  # fmt: skip


async def connect(url: str) -> Connection:
    """Open a connection for frequent statements that look up rows by key.

    Its lock_timeout is short, because all commands of a batch wait while the batch waits for a lock.
    """
    return await open_session(url, {**SETTINGS, "lock_timeout": "1s"}, command_timeout=10)


async def open_pool(url: str, *, size: int, by_key: bool = False) -> Pool:
    """Return a pool for reads in general, or `by_key` for frequent look-ups by key.

    It opens no connection yet, so that a service can start before its database.
    """
    arranged = partial(arrange, url=url, settings=SETTINGS if by_key else _READER)
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        init=arranged,
        command_timeout=20,
        timeout=PATIENCE_SECONDS,
        reset=_taken_back,
        connection_class=SteadyConnection,
    )


async def refuse_unfit(url: str) -> None:
    """Raise Misconfigured if this database, or a pooler in front of it, does not keep the SETTINGS.

    It does nothing if the database does not answer, so that a service can start before its database.
    """
    with suppress(*LOST, asyncpg.PostgresError):
        await (await connect(url)).close()


async def _taken_back(_: object) -> None:
    """Do not reset a connection: our statements leave no setting, lock or cursor behind.

    asyncpg would reset all three by a statement of its own, which is one more round trip for each request.
    """
