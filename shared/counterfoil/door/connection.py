"""The connection of one committer, which opens itself again after it was lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Self

import asyncpg
import structlog

from counterfoil.core.refusals import Misconfigured
from counterfoil.postgres.connection import LOST, Connection, connect

log = structlog.get_logger()

_PAUSE_SECONDS: Final = 0.2
_NOTHING_BEGUN: Final = "25P01"


class DoorConnection:
    """One connection at a time, opened when it is needed, and opened again after it was lost.

    `replicated` becomes False if the server warns that a commit on this connection did not reach its replicas.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._next_try = 0.0
        self._away = False
        self._unreplicated = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            with suppress(*LOST):
                await self._connection.close(timeout=2)

    @property
    def current(self) -> Connection:
        """The open connection; call `ready` first."""
        if self._connection is None:
            raise ConnectionError("the connection is not open")
        return self._connection

    @property
    def replicated(self) -> bool:
        """Whether every commit since the last call of this property reached the replicas."""
        admitted, self._unreplicated = self._unreplicated, False
        return not admitted

    async def ready(self) -> bool:
        """Open the connection if it is closed; return False if that fails.

        It tries at most five times a second, because a server can refuse or drop connections for hours.
        """
        if self._connection is not None and not self._connection.is_closed():
            return True
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._next_try - loop.time())
        self._next_try = loop.time() + _PAUSE_SECONDS
        try:
            self._connection = await connect(self._url)
        except (*LOST, asyncpg.PostgresError) as error:  # an operator may correct a password or restore the database
            if not self._away:
                log.warning("database_away", error=type(error).__name__)
            self._away = True
            return False
        except Misconfigured as error:  # an operator may reconfigure the pooler
            if not self._away:
                log.error("database_unfit", what_to_do=error.detail)  # noqa: TRY400 - foreseen, so no traceback
            self._away = True
            return False
        if self._away:
            log.info("database_back")
        self._away = False
        self._connection.add_log_listener(self._listen)
        return True

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, which the last commit began for waiting commands."""
        return self._connection is not None and self._connection.is_in_transaction()

    async def rest(self) -> None:
        """End an empty transaction: none stays open while no command waits."""
        await self._roll_back(lost=False)

    async def survives(self, error: Exception) -> bool:
        """Roll back after an error, and return whether the connection still works; a broken one is dropped."""
        return await self._roll_back(lost=isinstance(error, LOST) and not isinstance(error, ValueError))

    async def _roll_back(self, *, lost: bool) -> bool:
        connection = self._connection
        if connection is not None and not lost and not connection.is_closed():
            try:
                await connection.execute("rollback")
            except (*LOST, asyncpg.PostgresError):
                pass
            else:
                return True
        if connection is not None:
            connection.terminate()
        self._connection = None
        return False

    def _listen(self, _connection: object, message: asyncpg.PostgresLogMessage) -> None:
        # The warning is "canceling wait for synchronous replication" in the server's language, without a code of its
        # own. The only other warning that our statements cause has one: a rollback outside a transaction.
        if message.severity_en == "WARNING" and message.sqlstate != _NOTHING_BEGUN:
            self._unreplicated = True
