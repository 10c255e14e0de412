"""The HTTP server around the application."""

import asyncio
import gc

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from counterfoil_api.http.connections import Protocol
from counterfoil_api.http.request_limits import Bounds, bounds_of


class Server(web.Server):
    """Every connection speaks our protocol, and there are no more of them than the bounds say."""

    def __init__(self, plain: web.Server, bounds: Bounds) -> None:
        # A commit is not undone because somebody hung up: handlers run to their end.
        super().__init__(
            plain.request_handler,
            request_factory=plain.request_factory,
            handler_cancellation=False,
            loop=asyncio.get_running_loop(),
        )
        self.bounds = bounds

    def __call__(self) -> RequestHandler:
        """Make the protocol of one more connection."""
        return Protocol(self, bounds=self.bounds, has_room=self.has_room)

    def has_room(self) -> bool:
        """Whether the newest connection can stay; the oldest that only waits goes in its place.

        Whoever opens many and sends nothing thus loses them one by one, and keeps nobody out.
        """
        if len(self.connections) <= self.bounds.connections:
            return True
        for connection in self.connections:
            if isinstance(connection, Protocol) and connection.waiting:
                connection.drop()
                return True
        return False


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
        return Server(await super()._make_server(), bounds_of(self.app))
