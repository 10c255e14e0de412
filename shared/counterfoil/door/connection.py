"""A committer's connection to the database, which is opened again when it is lost."""

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
    """One connection at a time, opened when needed and again when lost.

    `replicated` turns False if the server admits that a commit on this connection did not reach its replicas.
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
        """The open connection; ask `ready` first."""
        if self._connection is None:
            raise ConnectionError("the connection is not open")
        return self._connection

    @property
    def replicated(self) -> bool:
        """Whether every commit since the last call reached its replicas."""
        admitted, self._unreplicated = self._unreplicated, False
        return not admitted

    async def ready(self) -> bool:
        """Open the connection if it is not; False if that does not succeed now.

        Tries a few times a second at most: a server may refuse us, or take us in and fail us at once, for hours.
        """
        if self._connection is not None and not self._connection.is_closed():
            return True
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._next_try - loop.time())
        self._next_try = loop.time() + _PAUSE_SECONDS
        try:
            self._connection = await connect(self._url)
        except (*LOST, asyncpg.PostgresError) as error:  # a wrong password may be put right, a database restored
            if not self._away:
                log.warning("database_away", error=type(error).__name__)
            self._away = True
            return False
        except Misconfigured as error:  # a pooler may be put right, too
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
        """Whether a transaction is open: the last commit began one for commands that were waiting then."""
        return self._connection is not None and self._connection.is_in_transaction()

    async def rest(self) -> None:
        """End a transaction in which nothing was done yet; none stays open while nobody waits."""
        await self._roll_back(lost=False)

    async def survives(self, error: Exception) -> bool:
        """Roll back after an error, and say whether the connection is still good; if not, it is dropped."""
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
        # "canceling wait for synchronous replication", in the language of the server; it has no code of its own. The
        # one other warning that we provoke has: a rollback where nothing had begun.
        if message.severity_en == "WARNING" and message.sqlstate != _NOTHING_BEGUN:
            self._unreplicated = True
