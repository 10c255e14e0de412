"""One connection: the size and pace of what may arrive on it, and problem documents even for malformed requests."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from counterfoil.core.refusals import Overloaded, Refusal
from counterfoil.logging import request_id
from counterfoil_api.http.aiohttp_internals import QueueingConnection
from counterfoil_api.http.errors import (
    ExpectationFailed,
    HeadersTooLarge,
    InternalError,
    MalformedRequest,
    RequestTimeout,
)
from counterfoil_api.http.framing import refusal_of_framing
from counterfoil_api.http.problems import kind_of, problem
from counterfoil_api.http.request_limits import Bounds
from counterfoil_api.http.requests import UNROUTED, add_common_headers

log = structlog.get_logger()

LONGEST_LINE: Final = 8_190
MOST_HEADERS: Final = 100
LARGEST_HEAD: Final = 32_768
"""Of all header lines together. Proxies and browsers send less, and every connection can hold as much."""
_TOO_MANY = "Too many headers received"


class Connection(QueueingConnection):
    """One connection. A request that cannot be parsed is answered here; its bytes are never repeated or logged."""

    __slots__ = (
        "_body",
        "_bounds",
        "_closed",
        "_has_room",
        "_head_bytes",
        "_head_timer",
        "_ignores_input",
        "_unread_timer",
    )

    def __init__(self, server: web.Server, *, bounds: Bounds, has_room: Callable[[], bool]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_HEADERS,
            keepalive_timeout=bounds.idle_seconds,
            lingering_time=bounds.lingering_seconds,
            # A compressed body can unpack to any size: it stays compressed, and is refused.
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type] # None is how aiohttp switches its own off
        )
        self._bounds, self._has_room = bounds, has_room
        self._body: StreamReader = EMPTY_PAYLOAD
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] | None = None
        self._ignores_input = False

    @property
    def waits_for_caller(self) -> bool:
        """Whether it is the caller's turn to send a request, or to read the last answer."""
        return self.transport is None or self.transport.is_closing() or self.awaits_request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, or refuse it where too many are at work."""
        super().connection_made(transport)
        _limit_unread_time(transport, self._bounds.unread_seconds)
        if not self._has_room():
            self._refuse(Overloaded("The service has too many connections; try again."))

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the timers."""
        for timer in (self._head_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        super().connection_lost(exc)

    def drop(self) -> None:
        """Close a connection that waits for its caller."""
        if self.transport is not None and self.transport.is_closing():
            self.transport.abort()
        else:
            self.force_close()

    def data_received(self, data: bytes) -> None:
        """Parse the bytes, and limit the size and the time of a request's head."""
        if self._ignores_input:
            return
        between_requests, known = self._body.is_eof(), self.parsed_requests
        super().data_received(data)
        if self.parsed_requests != known:
            self._parsed(self.parsed_requests - known, self._head_bytes + len(data))
        elif between_requests and data:
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD:
                self._refuse(HeadersTooLarge())
            elif self._head_timer is None:
                self._head_timer = _later(self._bounds.head_seconds, self._head_is_late)

    def _parsed(self, requests: int, size: int) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        for place, head in self.newest_heads(requests):
            if (refusal := _refusal_of(head, size)) is not None:
                self.replace_request(place, refusal, status=kind_of(refusal).status)
        self._body, self._ignores_input = self.newest_body, self.newest_is_malformed

    def _head_is_late(self) -> None:
        if self.waits_for_caller:
            self._refuse(RequestTimeout("The headers did not arrive in time."))
        else:  # an earlier request of this connection is being answered, so the caller may wait for us
            self._head_timer = _later(self._bounds.head_seconds, self._head_is_late)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer with the refusal after all earlier requests, and ignore what follows."""
        self._ignores_input = True
        self.queue_error(refusal, status=kind_of(refusal).status)

    def pause_writing(self) -> None:
        """Give the caller a limited time to read."""
        super().pause_writing()
        transport = cast(asyncio.Transport, self.transport)
        self._unread_timer = _later(self._bounds.unread_seconds, transport.abort)

    def resume_writing(self) -> None:
        """Go on: the caller has read."""
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer a request that does not reach the application, and close the connection."""
        if isinstance(exc, Refusal):
            return _last_answer(request, exc)
        if isinstance(exc, LineTooLong) or message == _TOO_MANY:  # the message is not repeated: it quotes the bytes
            return _last_answer(request, HeadersTooLarge())
        if status < 500:
            return _last_answer(request, MalformedRequest())
        log.error("connection_failed", exc_info=exc)
        return _last_answer(request, InternalError())

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the response, also to an expectation, which aiohttp itself refuses."""
        if isinstance(resp, web.HTTPExpectationFailed):
            resp = _last_answer(request, ExpectationFailed())
        finished = await super().finish_response(request, resp, start_time)
        if self._ignores_input and self.is_drained:
            await self._linger()
        return finished

    async def _linger(self) -> None:
        """Leave the caller time to read the refusal before the connection is reset."""
        transport = self.transport
        if transport is None or not transport.can_write_eof():
            return
        transport.write_eof()
        self._closed = asyncio.get_running_loop().create_future()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._bounds.lingering_seconds):
                await self._closed


def _later(seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, callback)


def _refusal_of(head: RawRequestMessage, size: int) -> Refusal | None:
    """Return the refusal of a well-formed head, if there is one; `size` counts the head and perhaps more."""
    if size > LARGEST_HEAD and _size(head) > LARGEST_HEAD:
        return HeadersTooLarge()
    return refusal_of_framing(head)


def _size(head: RawRequestMessage) -> int:
    return len(head.path) + sum(len(name) + len(value) + 4 for name, value in head.raw_headers)


def _limit_unread_time(transport: asyncio.BaseTransport, seconds: float) -> None:
    """Have the kernel end the connection if the peer reads nothing: a close would wait until the rest is read."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        peer = transport.get_extra_info("socket")
        if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1_000))


def _last_answer(request: web.BaseRequest, refusal: Refusal) -> web.StreamResponse:
    response = problem(refusal)
    add_common_headers(response, identity := request_id(request.headers.get("X-Request-Id")))
    response.force_close()
    kind = kind_of(refusal)
    log.info("request", route=UNROUTED, status=kind.status, problem=kind.name, request_id=identity)
    return response
