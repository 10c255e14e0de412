"""Connections to Postgres, and how to tell that one was lost."""

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
    asyncpg.InternalClientError,  # what asyncpg says of a server that was killed in mid-sentence
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,  # too many connections, a full disk
    asyncpg.ReadOnlySQLTransactionError,  # the primary became a replica under us
)
"""The server or the way to it is gone; whether a COMMIT that was under way happened is another question."""

SETTINGS: Final = {
    "application_name": "counterfoil",
    "timezone": "UTC",
    "jit": "off",
    # An acknowledged command is on disk, and each statement sees what was committed before it: our promises rest on
    # these three, whatever the server's defaults. The warning is that of a commit that no replica has confirmed.
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "client_min_messages": "warning",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "1min",
    # Our hot statements look up a few hundred keys. Planned once, while the tables are still empty, they must
    # not settle for a sequential scan that will be ruinous at a million rows.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_READER: Final = {
    key: value for key, value in SETTINGS.items() if not key.startswith(("plan_", "enable_"))
}  # fmt: skip


async def connect(url: str) -> Connection:
    """Open a connection for the hot path: few statements, always the same, always by key.

    Its lock_timeout is short, because a batch that waits for a lock keeps every command in it waiting.
    """
    return await open_session(url, {**SETTINGS, "lock_timeout": "1s"}, command_timeout=10)


async def open_pool(url: str, *, size: int, by_key: bool = False) -> Pool:
    """Open a pool: for reading at large, or `by_key` for look-ups on the hot path.

    Opens nothing yet, so that a service can start before its database.
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
    """Raise Misconfigured if this database, or a pooler before it, will not keep what our promises rest on.

    A database that is away is no reason not to start.
    """
    with suppress(*LOST, asyncpg.PostgresError):
        await (await connect(url)).close()


async def _taken_back(_: object) -> None:
    """Take a connection back as it is: no statement of ours leaves a setting, a lock or a cursor behind.

    asyncpg would have the server forget all three, which is one more round trip before each answer.
    """
