"""A proxy that falsifies answers of the ledger."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import ClientSession, web

from api.service import served

Lie = Callable[[str, Any], Any]
"""Takes a path and its answer; returns the answer to pass on."""


@asynccontextmanager
async def doctored(target: str, lie: Lie) -> AsyncIterator[str]:
    """Serve the answers of `target` with one falsification; yield the address."""
    async with ClientSession(target) as session:

        async def pass_on(request: web.Request) -> web.Response:
            headers = {"Authorization": request.headers["Authorization"]}
            async with session.request(request.method, request.path_qs, headers=headers) as answer:
                body = await answer.read()
                if answer.status == 200:
                    body = msgspec.json.encode(lie(request.path, msgspec.json.decode(body)))
                return web.Response(body=body, status=answer.status, content_type=answer.content_type)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", pass_on)
        async with served(app) as url:
            yield url


def of_log(edit: Callable[[list[Any]], list[Any]]) -> Lie:
    """Falsify the lines of the log."""

    def lie(path: str, answered: Any) -> Any:
        return {**answered, "items": edit(answered["items"])} if path == "/v1/events" else answered

    return lie


def of_list(path: str, edit: Callable[[list[Any]], list[Any]]) -> Lie:
    """Falsify a list."""

    def lie(asked: str, answered: Any) -> Any:
        return {**answered, "items": edit(answered["items"])} if asked == path else answered

    return lie
