"""Security headers of every answer: a browser may show the answer, but does nothing else with it."""

from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Final

from aiohttp import web

SECURITY_HEADERS: Final = MappingProxyType(
    {
        "Server": "counterfoil",
        "X-Content-Type-Options": "nosniff",
        # Answers of the API are no pages: if a browser shows one, it loads nothing, frames nothing and sends no
        # referrer, and no page of another site may embed it. An answer with a policy of its own keeps it.
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
STRICT: Final = "max-age=31536000"
"""One year, without `includeSubDomains`: this service does not decide for other hosts of the domain."""

Prepare = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def add_security_headers(response: web.StreamResponse) -> None:
    """Add each security header that the response does not have."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)


def strict_transport(url: str) -> list[Prepare]:
    """Return the hook that makes browsers insist on https, if the public address is https."""
    return [_add_strict_transport] if url.startswith("https:") else []


async def _add_strict_transport(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Strict-Transport-Security"] = STRICT
