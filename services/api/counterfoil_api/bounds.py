"""How much of a process one caller may take, and for how long: what is the same for every request."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web


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


BOUNDS: Final[web.AppKey[Bounds]] = web.AppKey("bounds", Bounds)


def bounds_of(app: web.Application) -> Bounds:
    """What was said of an application, or what fits everybody."""
    return app.get(BOUNDS) or Bounds()
