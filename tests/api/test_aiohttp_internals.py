"""The contract with the undocumented parts of aiohttp that http/aiohttp_internals.py uses, for one version of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.worker import GunicornWebWorker

from counterfoil_api.http.aiohttp_internals import CHECKED_VERSION, QueueingConnection, ServerRunner, gunicorn_worker


class Pipe(asyncio.Transport):
    """The other end of a connection, which keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...


class Answering(QueueingConnection):
    """A connection whose errors are answered with their text."""

    def handle_error(self, *given: object) -> web.StreamResponse:
        return web.Response(status=cast(int, given[1]), text=str(given[2]))


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text=request.path)


@pytest.fixture
async def connection() -> AsyncIterator[Answering]:
    server = web.Server(echo)
    opened = Answering(server, loop=asyncio.get_running_loop(), access_log=None)  # type: ignore[arg-type]
    opened.connection_made(Pipe())
    await asyncio.sleep(0)
    yield opened
    opened.connection_lost(None)
    await server.shutdown(0)


def written(connection: Answering) -> bytes:
    return cast(Pipe, connection.transport).written


def test_the_internals_were_checked_for_this_version() -> None:
    assert aiohttp.__version__ == CHECKED_VERSION


async def test_queued_requests_are_read_and_one_of_them_can_be_refused(connection: Answering) -> None:
    assert connection.awaits_request
    connection.data_received(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (connection.parsed_requests, connection.is_drained) == (2, False)
    assert [(place, head.path) for place, head in connection.newest_heads(2)] == [(-2, "/a"), (-1, "/b")]
    assert connection.newest_body.is_eof()
    assert connection.newest_is_malformed is False
    connection.replace_request(-1, ValueError("refused"), status=418)
    await asyncio.sleep(0.05)
    first, second = written(connection).split(b"HTTP/1.0 418")
    assert first.endswith(b"/a")
    assert second.endswith(b"refused")


async def test_malformed_bytes_are_queued_as_a_malformed_request(connection: Answering) -> None:
    connection.data_received(b"nonsense\r\n\r\n")
    assert connection.newest_is_malformed
    assert list(connection.newest_heads(1)) == []


async def test_an_error_is_answered_without_a_request(connection: Answering) -> None:
    connection.queue_error(ValueError("too late"), status=408)
    await asyncio.sleep(0.05)
    assert written(connection).startswith(b"HTTP/1.0 408")
    assert written(connection).endswith(b"too late")


async def test_a_runner_serves_with_the_server_of_its_class() -> None:
    made: list[web.Server] = []

    class Noting(ServerRunner):
        def server_of(self, plain: web.Server) -> web.Server:
            made.append(plain)
            return plain

    runner = Noting(web.Application())
    await runner.setup()
    assert made == [runner.server]
    await runner.cleanup()


def test_a_gunicorn_worker_uses_the_given_tls_context() -> None:
    assert hasattr(GunicornWebWorker, "_create_ssl_context")
    worker = gunicorn_worker(GunicornWebWorker, None)
    assert worker._create_ssl_context(object()) is None  # type: ignore[attr-defined]
