"""A small application with short time-outs, and clients that send byte by byte."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from api.sample_app import Nothing, Search, Shelf, Thing, believe, things
from api.service import served
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.http.request_limits import BOUNDS, Bounds
from counterfoil_api.http.requests import outer_layer
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.mounting import Mount
from counterfoil_api.operations.reading import Body, Query
from counterfoil_api.operations.services import Services

PROBLEM = "urn:counterfoil:problem:"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

odd = Api("odd", OURS)


@odd.get("/endless")
async def never_answer(_: Shelf) -> Thing:
    """Never answer a read."""
    await asyncio.Event().wait()
    raise AssertionError


@odd.post("/endless")
async def never_change(shelf: Shelf, body: Body[Nothing]) -> Thing:
    """Never answer a change."""
    try:
        await asyncio.Event().wait()
    finally:
        shelf.finished.append(f"given up {body}")
    raise AssertionError


@odd.post("/brief", longest_body=100)
async def read_little(_: Shelf, body: Body[Thing]) -> Thing:
    """Read a short body."""
    return body


@odd.post("/long", longest_body=100_000, patience_seconds=5.0)
async def read_much(shelf: Shelf, body: Body[Thing]) -> Thing:
    """Read a long body slowly."""
    shelf.finished.append("begun")
    await asyncio.sleep(0.5)
    return body


@odd.get("/much")
async def tell_much(_: Shelf, query: Query[Search]) -> Thing:
    """Answer with more than any buffer holds."""
    return Thing("x" * 20_000_000, query.name or "")


def app_with(bounds: Bounds, shelf: Shelf) -> web.Application:
    app = web.Application(middlewares=[outer_layer(lambda *_: None)], client_max_size=2_000)
    app[BOUNDS] = bounds
    Mount(Services.of(shelf), believe).onto(app, [*things.routes, *odd.routes])
    return app


@asynccontextmanager
async def a_server(shelf: Shelf, **bounds: float) -> AsyncIterator[tuple[str, int]]:
    reported = Bounds(**{"lingering_seconds": 0.5, **bounds})  # type: ignore[arg-type] # a number of connections is whole
    async with served(app_with(reported, shelf)) as url:
        host, port = url.removeprefix("http://").split(":")
        yield host, int(port)


@asynccontextmanager
async def connected(where: tuple[str, int]) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(*where)
    yield reader, writer
    writer.transport.abort()


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    status, *lines = head.decode().strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await asyncio.wait_for(reader.readexactly(int(headers.get("content-length", "0"))), 20)
    return int(status.split()[1]), headers, body


async def refused(reader: asyncio.StreamReader, *, status: int, problem: str) -> dict[str, object]:
    """The next answer, which must be this problem and the last one of its connection."""
    answered, headers, body = await answer_of(reader)
    document: dict[str, object] = json.loads(body)
    assert (answered, document["type"]) == (status, PROBLEM + problem)
    assert headers["content-type"] == "application/problem+json"
    with suppress(ConnectionError):  # a client that goes on sending after that is cut off
        assert await asyncio.wait_for(reader.read(), 20) == b""
    return document
