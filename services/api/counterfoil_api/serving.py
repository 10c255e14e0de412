"""The HTTP server around the application: its limits, and problem documents even for bytes that are no request."""

import asyncio
import gc

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from counterfoil.logging import request_id
from counterfoil.refusals import Refusal
from counterfoil_api.complaints import ExpectationFailed, HeadersTooLarge, InternalError, MalformedRequest
from counterfoil_api.problems import kind_of, problem
from counterfoil_api.requests import UNROUTED, sealed

log = structlog.get_logger()

LONGEST_LINE = 8_190
MOST_HEADERS = 100
KEEPALIVE_SECONDS = 75.0
LINGERING_SECONDS = 2.0
"""How long a refused body is still read and dropped, so that the refusal arrives before the reset."""


class Protocol(RequestHandler):
    """One connection. What cannot be parsed is answered here, and no byte of it is repeated or logged."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the bytes
    ) -> web.StreamResponse:
        """Answer a request that never reached the application, and end the connection."""
        if isinstance(exc, LineTooLong):
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
        return await super().finish_response(request, resp, start_time)


class Server(web.Server):
    """Every connection speaks our protocol."""

    def __call__(self) -> RequestHandler:
        """Make the protocol of one more connection."""
        return Protocol(
            self,
            loop=self._loop,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_HEADERS,
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGERING_SECONDS,
            # A compressed body could unfold to anything: it stays as it is, and is refused.
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type] # None is how aiohttp switches its own off
        )


class Runner(web.AppRunner):
    """An application in our server."""

    async def setup(self) -> None:
        """Make the server ready, and exempt what exists by now from garbage collection: it stays until the end.

        A full collection would look at all of it again, which keeps every request waiting for 30 ms.
        """
        await super().setup()
        gc.collect()
        gc.freeze()

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        # A commit is not undone because somebody hung up: handlers run to their end.
        return Server(
            plain.request_handler,
            request_factory=plain.request_factory,
            handler_cancellation=False,
            loop=asyncio.get_running_loop(),
        )


def _last_answer(request: web.BaseRequest, refusal: Refusal) -> web.StreamResponse:
    response = problem(refusal)
    sealed(response, identity := request_id(request.headers.get("X-Request-Id")))
    response.force_close()
    kind = kind_of(refusal)
    log.info("request", route=UNROUTED, status=kind.status, problem=kind.name, request_id=identity)
    return response
