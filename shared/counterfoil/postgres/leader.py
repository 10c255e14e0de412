"""One leader among many processes: whoever holds a session's advisory lock."""

from __future__ import annotations

from typing import Final, Self

import asyncpg
import structlog

from counterfoil.core.refusals import Misconfigured
from counterfoil.postgres.connection import LOST, Connection, connect

log = structlog.get_logger()

_LETTERS: Final = 7
_SILENCE_SECONDS: Final = 10
"""The server itself deposes a leader that has said nothing for so long: hung, cut off or dead without a word."""


def lock_of(name: str) -> int:
    """Return the number of the lock that this name stands for: its letters, of which a number holds seven."""
    letters = name.encode("ascii")
    if not 1 <= len(letters) <= _LETTERS:
        raise ValueError(f"a lead's name has 1 to {_LETTERS} letters, such as 'clock'; {name!r} has {len(letters)}")
    return int.from_bytes(letters)


class Lead:
    """This process's claim to lead in what is named so; ask `held` again at least every few seconds, or lose it.

    Two may believe that they lead for as long as one of them is cut off: what a leader does must bear that.
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
        """Take the lead if nobody has it, and say whether it is ours; without a database it is nobody's."""
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
                raise  # an address that will never work
            if not self._away:
                log.warning("lead_unknown", of=self._name, error=type(error).__name__)
        except Misconfigured as error:
            self._let_go()
            if not self._away:
                log.error("lead_unknown", of=self._name, what_to_do=error.detail)  # noqa: TRY400 - a complaint, not a crash
        self._away = self._connection is None
        return self._leads

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection, self._leads = None, False
