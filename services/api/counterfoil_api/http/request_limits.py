"""Limits of size and time that are the same for every request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from counterfoil.core.refusals import OutcomeUnknown, Overloaded

log = structlog.get_logger()

_DOUBT: Final = (
    "The request took too long and may still succeed; repeat it with the same Idempotency-Key to learn the outcome."
)

_TOO_LONG: Final = "The request took too long; try again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits of one server. Those that operators have reason to change are settings; the others are fixed."""

    connections: int = 1_000
    """Open connections. One more replaces the one that has waited longest for its caller."""
    head_seconds: float = 10.0
    """From the first byte of a request to the last of its headers; clients send them at once."""
    body_seconds: float = 20.0
    """For a body of ordinary length; for longer ones it grows in proportion."""
    request_seconds: float = 30.0
    """For handling a request after its body was read. Longer than the time limit of a database statement."""
    unread_seconds: float = 30.0
    """How long a caller may leave an answer unread."""
    idle_seconds: float = 75.0
    """Between requests. Longer than that of proxies (60 s), so that the server does not close under a request."""
    lingering_seconds: float = 2.0
    """How long bytes after a refused request are still read and dropped, so that the refusal precedes the reset."""


BOUNDS: Final[web.AppKey[Bounds]] = web.AppKey("bounds", Bounds)


def bounds_of(app: web.Application) -> Bounds:
    """Return the limits of an application, or the default ones."""
    return app.get(BOUNDS) or Bounds()


@dataclass(slots=True)
class Progress:
    """Whether a request may have changed something by now."""

    may_have_changed: bool


@asynccontextmanager
async def in_time(seconds: float, *, changes: bool) -> AsyncIterator[Progress]:
    """Refuse a request that takes longer than this.

    A command that has reached the door is executed although its caller no longer waits: if something may have changed,
    the refusal says that the outcome is unknown.
    """
    progress = Progress(changes)
    try:
        async with asyncio.timeout(seconds) as limit:
            yield progress
    except OutcomeUnknown:  # perhaps of a command of our own, such as the creation of the first key
        if progress.may_have_changed:
            raise
        raise Overloaded from None
    except TimeoutError:
        if not limit.expired():
            raise
        log.warning("request_took_too_long", seconds=seconds)
        raise (OutcomeUnknown(_DOUBT) if progress.may_have_changed else Overloaded(_TOO_LONG)) from None
