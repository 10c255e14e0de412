"""Applications on our edge, served for real on a port of the system's choice."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import ClientSession, web

from api.shelf import Shelf, believe, things
from counterfoil_api.api import Mount
from counterfoil_api.requests import edge
from counterfoil_api.serving import Runner

Serve = Callable[[web.Application], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve an application; gives its address."""
    runners: list[Runner] = []

    async def start(app: web.Application) -> str:
        runner = Runner(app)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        return f"http://{host}:{port}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def address(serve: Serve, shelf: Shelf) -> str:
    def observe(method: str, route: str, status: int, _: float, problem: str | None) -> None:
        shelf.observed.append((method, route, status, problem))

    app = web.Application(middlewares=[edge(observe)], client_max_size=2_000)
    Mount(shelf, believe).onto(app, things.routes)
    return await serve(app)


@pytest.fixture
async def client(address: str) -> AsyncIterator[ClientSession]:
    async with ClientSession(address) as session:
        yield session
