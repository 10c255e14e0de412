"""Sessions of Postgres with the settings that the ledger needs. Behind a pooler the settings are verified."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Final, TypeAlias

import asyncpg

from counterfoil.core.refusals import Misconfigured
from counterfoil.postgres.schema_changes import SteadyConnection

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

PATIENCE_SECONDS: Final = 5.0
"""The longest time for connecting, and for a pooler to open a second session."""
_ROUNDS: Final = 5
_PROOF_SECONDS: Final = 60.0
_LENT: Final = (
    "The database's address leads to a pooler that lends a session to others after each transaction or statement, so"
    " that none keeps its settings. Use its session mode (in PgBouncer: pool_mode = session), or give the address of"
    " Postgres itself."
)
_proven: Final[dict[str, float]] = {}
"""By URL, the time when a test last showed that the pooler lends whole sessions; its configuration may change."""


async def open_session(url: str, settings: Mapping[str, str], *, command_timeout: float | None = None) -> Connection:
    """Open a connection whose session has these settings.

    Raises Misconfigured if the database, or a pooler in front of it, does not keep them.
    """
    connection = await asyncpg.connect(
        url, timeout=PATIENCE_SECONDS, command_timeout=command_timeout, connection_class=SteadyConnection
    )
    try:
        await arrange(connection, url=url, settings=settings)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def arrange(connection: Connection, *, url: str, settings: Mapping[str, str]) -> None:
    """Set these settings in the session of a new connection, as `open_session` does.

    It uses `set` statements and no startup parameters, because a pooler refuses or drops startup parameters that it
    does not know.
    """
    try:
        pooled = await backend_of(connection) != connection.get_server_pid()
    except asyncpg.InvalidSQLStatementNameError:
        raise Misconfigured(_LENT) from None  # prepared in one session, asked for in another
    if pooled:
        await _refuse_lent_sessions(connection, url)
        # An earlier client may have left settings, a role, prepared statements or locks in the session.
        await connection.execute("discard all")
    await connection.execute("; ".join(f"set {name} = '{value}'" for name, value in settings.items()))
    if pooled:
        await _refuse_other_settings(connection, settings)


async def backend_of(connection: Connection) -> int:
    """Return the process id of the server process that answers; behind a pooler the connection knows another one."""
    # An unnamed statement: behind a pooler the session may have a prepared statement of the same name.
    statement = await connection.prepare("select pg_backend_pid()", name="")
    pid: int = await statement.fetchval()
    return pid


async def _refuse_lent_sessions(connection: Connection, url: str) -> None:
    """Raise Misconfigured if the pooler lends this session to others between our transactions."""
    proven = _proven.get(url)
    if proven is not None and monotonic() - proven < _PROOF_SECONDS:
        return
    try:
        lent = await _is_lent(connection, url)
    except TimeoutError:
        if proven is None:
            raise
        return  # the pool is full; its mode was right at the last test
    if lent:
        raise Misconfigured(_LENT)
    _proven[url] = monotonic()


async def _is_lent(connection: Connection, url: str) -> bool:
    """Return whether a second client gets the session of the idle first client, or the first gets another session."""
    other = await asyncpg.connect(url, timeout=PATIENCE_SECONDS, command_timeout=PATIENCE_SECONDS)
    try:
        ours = await backend_of(connection)
        if await backend_of(other) == ours:
            return True
        for number in range(_ROUNDS):
            await other.execute("begin")  # during a transaction, no pooler lends the session of the second client
            for _ in range(number):
                await connection.execute("select")  # varies the order for a pooler that lends its sessions in turn
            if await backend_of(other) == ours or await backend_of(connection) != ours:
                return True
            await other.execute("rollback")
    except asyncpg.InvalidSQLStatementNameError:
        return True  # prepared in one session, asked for in another
    except asyncpg.ConnectionDoesNotExistError as error:
        if "statement pooling" in str(error):  # PgBouncer closes a session that begins a transaction
            return True
        raise
    else:
        return False
    finally:
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await other.close(timeout=PATIENCE_SECONDS)


async def _refuse_other_settings(connection: Connection, settings: Mapping[str, str]) -> None:
    """Raise Misconfigured unless the session has these settings."""
    asked = ", ".join(f"current_setting('{name}') as {name}" for name in settings)
    row = await (await connection.prepare(f"select {asked}", name="")).fetchrow()
    for name, value in settings.items():
        if row is None or row[name] != value:
            found = "nothing" if row is None else repr(row[name])
            raise Misconfigured(
                f"The pooler in front of the database does not keep the setting {name}: it is {found} and has to be"
                f" {value!r}. Configure it to keep the settings of a session, or connect to Postgres directly."
            )
