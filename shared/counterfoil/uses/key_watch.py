"""Looks once a second whether the signing keys or the peppers have a new version, and calls their listeners."""

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

Listener = Callable[[int | None, float, datetime], Awaitable[None]]
"""Takes a version, the time on the event loop's clock at which it was read, and the time of the database."""


def watch_versions(
    url: str, peppers: Iterable[int], listeners: Mapping[UUID, Listener]
) -> AbstractAsyncContextManager[None]:
    """Call each listener with the version of its subject once a second, until this context ends.

    The connection's application_name lists the peppers of this process, so that an operator sees which processes lack
    a new one.
    """
    return in_background(_watch(url, peppers, listeners))


async def _watch(url: str, peppers: Iterable[int], listeners: Mapping[UUID, Listener]) -> None:
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
        except Exception:  # the task continues after every error
            log.exception("key_watch_failed")
        await asyncio.sleep(EVERY_SECONDS)


async def _listen(connection: Connection, listeners: Mapping[UUID, Listener]) -> None:
    last_logged = ""
    while True:
        as_of = monotonic()
        found = await versions(connection, NIL, listeners)
        try:
            for subject, listener in listeners.items():
                version, at = found[subject]
                await listener(version, as_of, at)
            last_logged = ""
        except Refusal as refusal:
            if refusal.detail != last_logged:
                log.error("version_refused", what_to_do=refusal.detail)  # noqa: TRY400 - foreseen, so no traceback
            last_logged = refusal.detail
        await asyncio.sleep(EVERY_SECONDS)
