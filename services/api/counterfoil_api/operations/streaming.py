"""Replies of any length, written while their chunks are read."""

import socket
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from counterfoil_api.http.problems import kind_of
from counterfoil_api.http.requests import refusal_of

log = structlog.get_logger()

T = TypeVar("T")

NDJSON: Final = "application/x-ndjson"
EVENT_STREAM: Final = "text/event-stream"
_DROP: Final = struct.pack("ii", 1, 0)
"""For SO_LINGER: unsent bytes are dropped, and the peer receives a reset."""


class Chunks(Protocol):
    """Chunks of bytes, such as those of an asynchronous generator.

    `aclose` is always awaited, also if no chunk was read: it releases what is held for the reply. (A generator that
    was not started runs none of its code then.)
    """

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def __anext__(self) -> bytes: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Streamed(Generic[T]):
    """A reply in a media type of its own: complete, such as a T in JSON, or in chunks without a known end.

    The time limit of the request does not apply to the chunks. If they fail, the connection is cut, so that the caller
    does not take a part for the whole.
    """

    content_type: str
    body: bytes | Chunks
    headers: Mapping[str, str] = field(default_factory=dict)
    compress: bool = False
    """With gzip: for callers that accept it, and that do not wait for single lines."""

    def response(self, *, cache: str) -> web.StreamResponse:
        """Return the response to send."""
        headers = {"Content-Type": self.content_type, "Cache-Control": cache, **self.headers}
        if isinstance(self.body, bytes):
            return _Whole(self.body, headers, compress=self.compress)
        return _Streaming(self.body, headers, compress=self.compress)


class _Whole(web.Response):
    """A response with a complete body."""

    def __init__(self, body: bytes, headers: Mapping[str, str], *, compress: bool) -> None:
        super().__init__(body=body, headers=headers)
        self._compress = compress

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the headers."""
        if self._compress:
            _compress(self, request)
        return await super().prepare(request)


class _Streaming(web.StreamResponse):
    """A response whose body is written chunk by chunk, after all layers have seen it like any other."""

    def __init__(self, chunks: Chunks, headers: Mapping[str, str], *, compress: bool) -> None:
        super().__init__(headers=headers)
        self._chunks, self._compress = chunks, compress
        self._request: web.BaseRequest | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the headers before the first chunk."""
        self._request = request
        try:
            if self._compress:
                _compress(self, request)
            return await super().prepare(request)
        except BaseException:
            await self._chunks.aclose()
            raise

    async def write_eof(self, data: bytes = b"") -> None:
        """Write the chunks and the end, or cut the connection where they fail."""
        request = self._request
        assert request is not None  # noqa: S101 - `prepare` comes first
        try:
            if request.method != "HEAD":
                async for chunk in self._chunks:
                    await self.write(chunk)
            await super().write_eof(data)
        except BaseException as error:
            _cut(request)
            if isinstance(error, ConnectionError) or not isinstance(error, Exception):
                raise
            refusal = refusal_of(error)
            if refusal is error:  # `refusal_of` has logged every other error
                log.warning("reply_broken_off", problem=kind_of(refusal).name)
            raise ConnectionResetError from None
        finally:
            await self._chunks.aclose()


def _compress(response: web.StreamResponse, request: web.BaseRequest) -> None:
    if request.method != "HEAD":  # aiohttp would send the trailer of an empty compressed body
        response.enable_compression(web.ContentCoding.gzip)


def _cut(request: web.BaseRequest) -> None:
    """Close the connection so that the caller sees that the reply is incomplete.

    Without chunked coding (in HTTP/1.0, which many proxies use) the end of the connection is the end of the reply: only
    a reset shows that it is not.
    """
    if request.transport is None:
        return
    peer = request.transport.get_extra_info("socket")
    if peer is not None and request.version < HttpVersion11:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
    request.transport.abort()
