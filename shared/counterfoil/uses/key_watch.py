"""Tells every process within a second about rotations of keys and peppers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from time import monotonic
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from counterfoil.core.principal import NIL
from counterfoil.core.refusals import Misconfigured, Refusal
from counterfoil.postgres.connection import LOST, Connection, connect
from counterfoil.postgres.peppers import announce
from counterfoil.postgres.subject_row import versions
from counterfoil.uses.repeating import in_background

log = structlog.get_logger()

EVERY_SECONDS: Final = 1.0

Hear = Callable[[int | None, float, datetime], Awaitable[None]]
"""Receives a version, the loop's time that it is as of, and the database's time."""


def following(url: str, peppers: Iterable[int], listeners: Mapping[UUID, Hear]) -> AbstractAsyncContextManager[None]:
    """Tell each listener its subject's version once a second, for as long as this context is open.

    The connection announces which peppers this process has, so that an operator sees which processes lack a new one.
    """
    return in_background(_follow(url, peppers, listeners))


async def _follow(url: str, peppers: Iterable[int], listeners: Mapping[UUID, Hear]) -> None:
    while True:
        try:
            connection = await connect(url)
            try:
                await announce(connection, peppers)
                await _listen(connection, listeners)
            finally:
                connection.terminate()
        except (*LOST, asyncpg.PostgresError, Misconfigured):
            pass  # the door also needs the database, and logs the reason once
        except Exception:  # this task must survive every error
            log.exception("following_failed")
        await asyncio.sleep(EVERY_SECONDS)


async def _listen(connection: Connection, listeners: Mapping[UUID, Hear]) -> None:
    last_logged = ""
    while True:
        as_of = monotonic()
        found = await versions(connection, NIL, listeners)
        try:
            for subject, hear in listeners.items():
                version, at = found[subject]
                await hear(version, as_of, at)
            last_logged = ""
        except Refusal as refusal:
            if refusal.detail != last_logged:
                log.error("cannot_follow", what_to_do=refusal.detail)  # noqa: TRY400 - foreseen, so no traceback
            last_logged = refusal.detail
        await asyncio.sleep(EVERY_SECONDS)
