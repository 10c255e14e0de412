"""A reply that is written as it is found, for as long as that takes: what a log of any length needs."""

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
"""For SO_LINGER: what was not sent is dropped, and the peer gets a reset."""


class Chunks(Protocol):
    """Bytes as they are found. An asynchronous generator is one.

    `aclose` is awaited in every case, also where no chunk was ever asked for: what is held for the reply is given back
    there. (A generator that never began runs none of its code then.)
    """

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def __anext__(self) -> bytes: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Streamed(Generic[T]):
    """A reply of a media type of its own: whole, such as a T in JSON, or in chunks that have no end yet.

    The request's time ends when this is returned: chunks may take as long as their reader takes something. Where they
    fail, the connection is cut, so that nobody takes a part for the whole.
    """

    content_type: str
    body: bytes | Chunks
    headers: Mapping[str, str] = field(default_factory=dict)
    compress: bool = False
    """With gzip: for what its reader has asked to be compressed, and does not wait for line by line."""

    def response(self, *, cache: str) -> web.StreamResponse:
        """What is sent."""
        headers = {"Content-Type": self.content_type, "Cache-Control": cache, **self.headers}
        if isinstance(self.body, bytes):
            return _Whole(self.body, headers, compress=self.compress)
        return _Streaming(self.body, headers, compress=self.compress)


class _Whole(web.Response):
    """The response whose body is there already."""

    def __init__(self, body: bytes, headers: Mapping[str, str], *, compress: bool) -> None:
        super().__init__(body=body, headers=headers)
        self._compress = compress

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the headers."""
        if self._compress:
            _pack(self, request)
        return await super().prepare(request)


class _Streaming(web.StreamResponse):
    """The response whose body is written chunk by chunk, when everything before it was done as for any other."""

    def __init__(self, chunks: Chunks, headers: Mapping[str, str], *, compress: bool) -> None:
        super().__init__(headers=headers)
        self._chunks, self._compress = chunks, compress
        self._request: web.BaseRequest | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the headers, before there is any chunk."""
        self._request = request
        try:
            if self._compress:
                _pack(self, request)
            return await super().prepare(request)
        except BaseException:
            await self._chunks.aclose()
            raise

    async def write_eof(self, data: bytes = b"") -> None:
        """Write the chunks and the end, or cut the connection where they fail."""
        request = self._request
        assert request is not None  # noqa: S101 - it was prepared
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
            if refusal is error:  # else it was logged there
                log.warning("reply_broken_off", problem=kind_of(refusal).name)
            raise ConnectionResetError from None
        finally:
            await self._chunks.aclose()


def _pack(response: web.StreamResponse, request: web.BaseRequest) -> None:
    if request.method != "HEAD":  # aiohttp would send the end of a compressed nothing
        response.enable_compression(web.ContentCoding.gzip)


def _cut(request: web.BaseRequest) -> None:
    """End the connection so that what was sent is seen to be a part.

    Without chunks (HTTP/1.0, which many a proxy speaks to us) an end is an end, and only a reset says otherwise.
    """
    if request.transport is None:
        return
    peer = request.transport.get_extra_info("socket")
    if peer is not None and request.version < HttpVersion11:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
    request.transport.abort()
