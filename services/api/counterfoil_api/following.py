"""What one process does, every process hears of within a second: rotations of keys and of peppers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Final
from uuid import UUID

import structlog

from counterfoil.postgres.connection import LOST, Pool
from counterfoil.postgres.subject_row import versions
from counterfoil.principal import NIL
from counterfoil.refusals import Refusal

log = structlog.get_logger()

EVERY_SECONDS: Final = 1.0

Hear = Callable[[int | None, float], Awaitable[None]]


@asynccontextmanager
async def following(pool: Pool, listeners: dict[UUID, Hear]) -> AsyncIterator[None]:
    """Tell each listener once a second at which version its subject is, and as of when, for as long as this lasts."""
    task = asyncio.create_task(_follow(pool, listeners))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _follow(pool: Pool, listeners: dict[UUID, Hear]) -> None:
    complaint = ""
    while True:
        try:
            as_of = monotonic()
            found = await versions(pool, NIL, listeners)
            for subject, hear in listeners.items():
                await hear(found.get(subject), as_of)
            complaint = ""
        except LOST:
            pass  # whoever needs the database will say so
        except Refusal as refusal:
            if refusal.detail != complaint:
                log.error("cannot_follow", what_to_do=refusal.detail)  # noqa: TRY400 - a complaint, not a crash
            complaint = refusal.detail
        except Exception:  # this task must outlive whatever is wrong today
            log.exception("following_failed")
        await asyncio.sleep(EVERY_SECONDS)
