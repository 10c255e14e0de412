"""One connection: what may arrive on it and how slowly, and problem documents even for bytes that are no request."""

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
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from counterfoil.core.refusals import Overloaded, Refusal
from counterfoil.logging import request_id
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
from counterfoil_api.http.requests import UNROUTED, sealed

log = structlog.get_logger()

LONGEST_LINE: Final = 8_190
MOST_HEADERS: Final = 100
LARGEST_HEAD: Final = 32_768
"""Of all lines together: no proxy or browser sends more, and each connection could hold as much."""
_TOO_MANY = "Too many headers received"


class Protocol(RequestHandler):
    """One connection. What cannot be parsed is answered here, and no byte of it is repeated or logged."""

    __slots__ = ("_body", "_bounds", "_deaf", "_gone", "_has_room", "_head_bytes", "_head_timer", "_unread_timer")

    def __init__(self, server: web.Server, *, bounds: Bounds, has_room: Callable[[], bool]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_HEADERS,
            keepalive_timeout=bounds.idle_seconds,
            lingering_time=bounds.lingering_seconds,
            # A compressed body could unfold to anything: it stays as it is, and is refused.
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type] # None is how aiohttp switches its own off
        )
        self._bounds, self._has_room = bounds, has_room
        self._body: StreamReader = EMPTY_PAYLOAD
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] | None = None
        self._deaf = False

    @property
    def waiting(self) -> bool:
        """Whether it is the caller's turn to send, or to read the last answer."""
        if self.transport is None or self.transport.is_closing():
            return True
        return self._waiter is not None and not self._waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, or refuse it where there are too many at work."""
        super().connection_made(transport)
        _give_up_on_the_silent(transport, self._bounds.unread_seconds)
        if not self._has_room():
            self._refuse(Overloaded("The service has too many connections; try again."))

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it."""
        for timer in (self._head_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        super().connection_lost(exc)

    def drop(self) -> None:
        """End a connection that keeps us waiting."""
        if self.transport is not None and self.transport.is_closing():
            self.transport.abort()
        else:
            self.force_close()

    def data_received(self, data: bytes) -> None:
        """Read on, counting what comes before a request is complete: its size and its time."""
        if self._deaf:
            return
        between, known = self._body.is_eof(), self._request_count
        super().data_received(data)
        if self._request_count != known:
            self._arrived(self._request_count - known, self._head_bytes + len(data))
        elif between and data:
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD:
                self._refuse(HeadersTooLarge())
            elif self._head_timer is None:
                self._head_timer = self._loop.call_later(self._bounds.head_seconds, self._late)

    def _arrived(self, requests: int, size: int) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        for at in range(-requests, 0):
            message, _ = self._messages[at]
            if isinstance(message, RawRequestMessage) and (refusal := _refusal(message, size)) is not None:
                self._messages[at] = _error(refusal)
        message, self._body = self._messages[-1]
        self._deaf = isinstance(message, _ErrInfo)

    def _late(self) -> None:
        if self.waiting:
            self._refuse(RequestTimeout("The headers did not arrive in time."))
        else:  # it waits for us: an earlier request of this connection is being answered
            self._head_timer = self._loop.call_later(self._bounds.head_seconds, self._late)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer so once what came before is answered, and hear no more."""
        self._deaf = True
        self._messages.append(_error(refusal))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def pause_writing(self) -> None:
        """Wait for the caller to read, for a while."""
        super().pause_writing()
        transport = cast(asyncio.Transport, self.transport)
        self._unread_timer = self._loop.call_later(self._bounds.unread_seconds, transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that never reached the application, and end the connection."""
        if isinstance(exc, Refusal):
            return _last_answer(request, exc)
        if isinstance(exc, LineTooLong) or message == _TOO_MANY:  # of the message no more: it quotes the bytes
            return _last_answer(request, HeadersTooLarge())
        if status < 500:
            return _last_answer(request, MalformedRequest())
        log.error("connection_failed", exc_info=exc)
        return _last_answer(request, InternalError())

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the response; aiohttp's own refusal of an expectation comes this way too."""
        if isinstance(resp, web.HTTPExpectationFailed):
            resp = _last_answer(request, ExpectationFailed())
        finished = await super().finish_response(request, resp, start_time)
        if self._deaf and not self._messages:
            await self._linger()
        return finished

    async def _linger(self) -> None:
        transport = self.transport
        if transport is None or not transport.can_write_eof():
            return
        transport.write_eof()
        self._gone = self._loop.create_future()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._bounds.lingering_seconds):
                await self._gone


def _error(refusal: Refusal) -> tuple[_ErrInfo, StreamReader]:
    return _ErrInfo(status=kind_of(refusal).status, exc=refusal, message=""), EMPTY_PAYLOAD


def _refusal(message: RawRequestMessage, size: int) -> Refusal | None:
    """What is wrong with a head that could be read, if anything; `size` is of it and perhaps of more."""
    if size > LARGEST_HEAD and _size(message) > LARGEST_HEAD:
        return HeadersTooLarge()
    return refusal_of_framing(message)


def _size(message: RawRequestMessage) -> int:
    return len(message.path) + sum(len(name) + len(value) + 4 for name, value in message.raw_headers)


def _give_up_on_the_silent(transport: asyncio.BaseTransport, seconds: float) -> None:
    """Have the kernel end a connection whose peer takes nothing: closing one would wait for the rest to be read."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        peer = transport.get_extra_info("socket")
        if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1_000))


def _last_answer(request: web.BaseRequest, refusal: Refusal) -> web.StreamResponse:
    response = problem(refusal)
    sealed(response, identity := request_id(request.headers.get("X-Request-Id")))
    response.force_close()
    kind = kind_of(refusal)
    log.info("request", route=UNROUTED, status=kind.status, problem=kind.name, request_id=identity)
    return response
