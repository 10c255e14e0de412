"""The HTTP server around the application."""

import asyncio
import gc

from aiohttp import web

from counterfoil_api.http.aiohttp_internals import ServerRunner
from counterfoil_api.http.connections import Connection
from counterfoil_api.http.request_limits import Bounds, bounds_of


class Server(web.Server):
    """A server whose connections are of our class, and no more than the bounds allow."""

    def __init__(self, plain: web.Server, bounds: Bounds) -> None:
        # A commit is not undone because the caller disconnected: handlers run to their end.
        super().__init__(
            plain.request_handler,
            request_factory=plain.request_factory,
            handler_cancellation=False,
            loop=asyncio.get_running_loop(),
        )
        self.bounds = bounds

    def __call__(self) -> Connection:
        """Make one more connection."""
        return Connection(self, bounds=self.bounds, has_room=self.has_room)

    def has_room(self) -> bool:
        """Return whether the newest connection can stay; if need be, drop the oldest that waits for its caller.

        So a caller that opens many connections and sends nothing loses them one by one, and does not keep others out.
        """
        connections = self.connections
        if len(connections) <= self.bounds.connections:
            return True
        for connection in connections:
            if isinstance(connection, Connection) and connection.waits_for_caller:
                connection.drop()
                return True
        return False


class Runner(ServerRunner):
    """Runs an application in our server."""

    async def setup(self) -> None:
        """Start the server, and exempt all objects that exist by then from garbage collection.

        They stay until the end. A full collection would visit them again, and delay every request by 30 ms.
        """
        await super().setup()
        gc.collect()
        gc.freeze()

    def server_of(self, plain: web.Server) -> web.Server:
        """Return our server."""
        return Server(plain, bounds_of(self.app))
