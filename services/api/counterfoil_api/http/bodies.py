"""The bytes of a request's body, within limits of size and time."""

import asyncio
from typing import Final

from aiohttp import web

from counterfoil_api.http.errors import BodyTooLarge, MalformedRequest, RequestTimeout, UnsupportedMediaType
from counterfoil_api.http.request_limits import bounds_of

_SLOWEST: Final = 65_536
"""Bytes a second: the slowest pace at which a long body may arrive."""


async def body_of(request: web.Request, *, longest: int | None = None) -> bytes:
    """Return the whole body, or raise its refusal; `longest` replaces the limit of the application."""
    if not request.body_exists:
        return b""
    if longest is not None:
        request = request.clone(client_max_size=longest)
    if (length := request.content_length) is not None and length > request.client_max_size:
        raise BodyTooLarge
    # A compressed body can unpack to any size: it is refused.
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without a Content-Encoding; none is supported here.")
    if request.content.is_eof():
        return await request.read()
    return await _read_in_time(request)


async def _read_in_time(request: web.Request) -> bytes:
    seconds = bounds_of(request.app).body_seconds + request.client_max_size // _SLOWEST
    try:
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        raise RequestTimeout from None
    except web.HTTPRequestEntityTooLarge:
        raise BodyTooLarge from None
    except (web.RequestPayloadError, ConnectionError):  # after a ConnectionError nobody reads the answer
        raise MalformedRequest("The body ends too early, or its chunks are malformed.") from None
