"""The headers that every answer carries, whatever it says."""

from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Final

from aiohttp import web

SEAL: Final = MappingProxyType(
    {
        "Server": "counterfoil",
        "X-Content-Type-Options": "nosniff",
        # No answer of ours is a page: should a browser show one, then it loads nothing, frames nothing and tells nobody
        # where it was; and no page of others may embed it.
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
STRICT: Final = "max-age=31536000"
"""A year. Not `includeSubDomains`: other hosts below ours are not ours to decide about."""

Prepare = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def strict(url: str) -> list[Prepare]:
    """What makes browsers insist on https from their first answer on, where that is what clients speak."""
    return [_strictly] if url.startswith("https:") else []


async def _strictly(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Strict-Transport-Security"] = STRICT
