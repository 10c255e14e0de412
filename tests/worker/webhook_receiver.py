"""A receiver of webhooks on this machine: it verifies every message with the library `standardwebhooks`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import Webhook

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Received:
    """One message: its webhook-id and its document."""

    id: str
    document: dict[str, Any]


@dataclass(slots=True)
class Receiver:
    """Answers with `replies`, the last of which stays; records what it received, verified with each of `secrets`."""

    url: str = ""
    secrets: list[str] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.received]

    @property
    def types(self) -> list[str]:
        return [each.document["type"] for each in self.received]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.paths.append(request.path)
        document: dict[str, Any] = {}
        for secret in self.secrets:
            document = Webhook(secret).verify(body, dict(request.headers))
        self.received.append(Received(request.headers["webhook-id"], document))
        assert request.headers["Content-Type"] == "application/cloudevents+json"
        if not self.replies:
            return web.Response(text="thanks")
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return await reply(request)


def status(code: int, text: str = "", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def reply(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=text, headers=named)

    return reply


async def hang(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.sleep(3_600)
    return web.Response()


async def drip(request: web.Request) -> web.StreamResponse:
    """Answer with a receipt, and then with a byte a second."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(3_600):
        await response.write(b".")
        await asyncio.sleep(1)
    return response


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """Run a receiver on a free port of this machine."""
    made = Receiver()
    app = web.Application()
    app.router.add_post("/{tail:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    made.url = f"http://{host}:{port}"
    try:
        yield made
    finally:
        await runner.cleanup()
