"""Follows the length of the log over one connection, for all streams of this process."""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg
import structlog

from counterfoil.core.refusals import Misconfigured
from counterfoil.postgres.connection import LOST, Connection, connect
from counterfoil.postgres.sealed_log import size_of
from counterfoil.postgres.sealing import CHANNEL

log = structlog.get_logger()

EVERY_SECONDS: Final = 1.0
"""The interval of queries. If a notification is lost, for example in a pooler, its events arrive this much later."""


class LogWatch:
    """Learns the size of the whole log from the sealer's notifications, and from a query each second."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._size: int | None = None
        self._changed = asyncio.Event()

    async def other_than(self, size: int | None) -> int:
        """Return the size of the log as soon as it differs from this one."""
        while self._size is None or self._size == size:
            await self._changed.wait()
        return self._size

    async def watch(self) -> None:
        """Follow the log until this is cancelled."""
        while True:
            try:
                connection = await connect(self._url)
                try:
                    await connection.add_listener(CHANNEL, self._notified)
                    while True:
                        await self._query(connection)
                        await asyncio.sleep(EVERY_SECONDS)
                finally:
                    connection.terminate()
            except (*LOST, asyncpg.PostgresError, Misconfigured):
                pass  # the door needs the database, too, and logs once why it is away
            except Exception:  # this task must survive every error
                log.exception("log_watch_failed")
            await asyncio.sleep(EVERY_SECONDS)

    async def _query(self, connection: Connection) -> None:
        known = self._size or 0
        size = await size_of(connection)
        # A notification in the meantime is newer than this answer. If the log is shorter than before the query, it is
        # another log.
        self._update(size if size < known else max(size, self._size or 0))

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if isinstance(payload, str) and payload.isdecimal():
            self._update(max(int(payload), self._size or 0))

    def _update(self, size: int) -> None:
        if size != self._size:
            self._size = size
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()
