"""One leader among several processes: the process whose session holds an advisory lock."""

from __future__ import annotations

from typing import Final, Self

import asyncpg
import structlog

from counterfoil.core.refusals import Misconfigured
from counterfoil.postgres.connection import LOST, Connection, Pool, connect

log = structlog.get_logger()

_LETTERS: Final = 7
_SILENCE_SECONDS: Final = 10
"""The server ends the session of a leader that sends nothing for this long."""


def lock_of(name: str) -> int:
    """Return the number of the lock with this name: its letters, up to seven."""
    letters = name.encode("ascii")
    if not 1 <= len(letters) <= _LETTERS:
        raise ValueError(f"a lead's name has 1 to {_LETTERS} letters, such as 'clock'; {name!r} has {len(letters)}")
    return int.from_bytes(letters)


async def is_led(pool: Pool, name: str) -> bool:
    """Say whether any process has this lead."""
    led: bool = await pool.fetchval(
        """
        select exists (
               select
                 from pg_locks
                where locktype = 'advisory'
                  and database = (select oid from pg_database where datname = current_database())
                  and objsubid = 1  -- of a lock whose number is one bigint, here in two halves
                  and (classid::bigint << 32 | objid::bigint) = $1
                  and granted)""",
        lock_of(name),
    )
    return led


class Lead:
    """The lead of one name. A process that leads must call `held` every few seconds, or it loses the lead.

    If a leader loses its connection, two processes may lead for some seconds; their work must allow that.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._lock = lock_of(name)
        self._connection: Connection | None = None
        self._leads = False
        self._away = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            try:
                await self._connection.close(timeout=2)
            except LOST:
                self._connection.terminate()

    async def held(self) -> bool:
        """Take the lead if it is free, and return whether this process leads; without a database no process leads."""
        try:
            if self._connection is None:
                self._connection = await connect(self._url)
                await self._connection.execute(f"set idle_session_timeout = '{_SILENCE_SECONDS}s'")
            self._leads = await self._connection.fetchval(
                "select $1 or pg_try_advisory_lock($2)", self._leads, self._lock, timeout=5
            )
        except (*LOST, asyncpg.PostgresError) as error:
            self._let_go()
            if isinstance(error, ValueError):
                raise  # the URL is invalid
            if not self._away:
                log.warning("lead_unknown", of=self._name, error=type(error).__name__)
        except Misconfigured as error:
            self._let_go()
            if not self._away:
                log.error("lead_unknown", of=self._name, what_to_do=error.detail)  # noqa: TRY400 - foreseen, so no traceback
        self._away = self._connection is None
        return self._leads

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection, self._leads = None, False
