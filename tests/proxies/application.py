"""The application behind the proxies, which records the requests that reach it."""

import re
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request as it arrived."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> list[str]:
        """Every value of a header; as for applications, any character except letters and digits counts as a dash."""
        return [value for given, value in self.headers if re.sub("[^a-z0-9]", "-", given.lower()) == name.lower()]

    @property
    def identity(self) -> dict[str, list[str]]:
        """All headers that an application might use as the caller's identity."""
        named = {re.sub("[^a-z0-9]", "-", given.lower()) for given, _ in self.headers}
        return {name: self.header(name) for name in sorted(named) if "counterfoil" in name}


@dataclass(slots=True)
class Application:
    """Its address, and the arrived requests in order."""

    url: str = ""
    arrived: list[Arrived] = field(default_factory=list)

    @property
    def last(self) -> Arrived:
        return self.arrived[-1]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers)
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        body = b"" if upgrade else await request.read()
        self.arrived.append(Arrived(request.method, request.raw_path, headers, body))
        return await echo(request) if upgrade else web.Response(body=body, headers={"X-From": "application"})


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Echo each message."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(f"echo: {message.data}")
    return socket


def make_application(application: Application) -> web.Application:
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{path:(?s:.*)}", application.answer)
    return app
