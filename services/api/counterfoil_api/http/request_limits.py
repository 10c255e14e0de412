"""How much of a process one caller may take, and for how long: what is the same for every request."""

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
    """The bounds of one server. What operators have reason to turn are settings; the rest fits everybody."""

    connections: int = 1_000
    """Open at a time. One more takes the place of the one that has kept us waiting longest."""
    head_seconds: float = 10.0
    """From the first byte of a request to the last of its headers: an honest client sends them at once."""
    body_seconds: float = 20.0
    """For a body of ordinary length; a route that reads longer ones waits in proportion."""
    request_seconds: float = 30.0
    """For what is done about a request, once it is here. Longer than any statement may take in the database."""
    unread_seconds: float = 30.0
    """How long a caller may leave an answer unread."""
    idle_seconds: float = 75.0
    """Between requests. Longer than proxies keep theirs (60 s), so that it is never us who close under a request."""
    lingering_seconds: float = 2.0
    """How long what follows a refused request is still read and dropped, so that the refusal precedes the reset."""


BOUNDS: Final[web.AppKey[Bounds]] = web.AppKey("bounds", Bounds)


def bounds_of(app: web.Application) -> Bounds:
    """What was said of an application, or what fits everybody."""
    return app.get(BOUNDS) or Bounds()


@dataclass(slots=True)
class UnderWay:
    """What is known of a request while it lasts: whether it may have changed something by now."""

    changes: bool


@asynccontextmanager
async def in_time(seconds: float, *, changes: bool) -> AsyncIterator[UnderWay]:
    """Refuse what takes longer than this.

    A command that has reached the door is carried out though nobody waits for it any more: where something may have
    changed, the refusal says that it is not known. Where the request changes nothing, no refusal says so.
    """
    under_way = UnderWay(changes)
    try:
        async with asyncio.timeout(seconds) as limit:
            yield under_way
    except OutcomeUnknown:  # perhaps of a step of our own, such as the first key
        if under_way.changes:
            raise
        raise Overloaded from None
    except TimeoutError:
        if not limit.expired():
            raise
        log.warning("request_took_too_long", seconds=seconds)
        raise (OutcomeUnknown(_DOUBT) if under_way.changes else Overloaded(_TOO_LONG)) from None
