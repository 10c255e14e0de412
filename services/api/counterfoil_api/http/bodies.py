"""The bytes of a request's body, within limits of size and patience."""

import asyncio
from typing import Final

from aiohttp import web

from counterfoil_api.http.errors import BodyTooLarge, MalformedRequest, RequestTimeout, UnsupportedMediaType
from counterfoil_api.http.request_limits import bounds_of

_SLOWEST: Final = 65_536
"""Bytes a second; who sends a long body slower than this is not waited for."""


async def body_of(request: web.Request, *, longest: int | None = None) -> bytes:
    """The whole body, or the complaint that fits; `longest` where an operation reads more or less than others."""
    if not request.body_exists:
        return b""
    if longest is not None:
        request = request.clone(client_max_size=longest)
    if (length := request.content_length) is not None and length > request.client_max_size:
        raise BodyTooLarge
    # A compressed body could unfold to anything; the server does not unpack them, and says so.
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without a Content-Encoding; none is supported here.")
    if request.content.is_eof():
        return await request.read()
    return await _patiently(request)


async def _patiently(request: web.Request) -> bytes:
    seconds = bounds_of(request.app).body_seconds + request.client_max_size // _SLOWEST
    try:
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        raise RequestTimeout from None
    except web.HTTPRequestEntityTooLarge:
        raise BodyTooLarge from None
    except (web.RequestPayloadError, ConnectionError):  # the latter goes no further: there is nobody to hear it
        raise MalformedRequest("The body ends too early, or its chunks are malformed.") from None
