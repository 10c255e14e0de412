"""Servers in the process of the tests, which close every connection that they have accepted.

A server of asyncio (3.11) that closes in the same turn of its loop in which it accepts a connection neither serves nor
closes this connection. The socket is found later, and fails whatever test runs then.
"""

import asyncio
import socket
import ssl
from asyncio.trsock import TransportSocket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web


async def stop_accepting(sockets: Sequence[socket.socket | TransportSocket]) -> None:
    """Accept nothing more, and let the connections that have been accepted begin."""
    for each in sockets:
        asyncio.get_running_loop().remove_reader(each.fileno())
    await asyncio.sleep(0)


@asynccontextmanager
async def listening(runner: web.BaseRunner, context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, int]]:
    """Serve on a free port of this machine, and yield the address."""
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        await web.SockSite(runner, listener, ssl_context=context).start()
        try:
            host, port = listener.getsockname()
            yield host, port
        finally:
            await stop_accepting([listener])
            await runner.cleanup()
