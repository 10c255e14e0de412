"""A proxy of the database connection, at an address of its own."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from counterfoil_dev.postgres import Database
from listening import stop_accepting

_SOCKET = ".s.PGSQL.5432"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Carry = Callable[[Streams, Streams], Awaitable[None]]
"""Carries what a client and the server send each other, until it returns or one of them is gone."""


@asynccontextmanager
async def between(database: Database, carry: Carry) -> AsyncIterator[str]:
    """Yield the address of a proxy of this database, which hands each connection to `carry`."""
    parts = urlsplit(database.app_url)
    target = Path(parse_qs(parts.query)["host"][0]) / _SOCKET

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = await asyncio.open_unix_connection(target)
        with suppress(OSError, asyncio.IncompleteReadError):
            await carry((reader, writer), server)
        for end in (server[1], writer):
            end.transport.abort()

    with tempfile.TemporaryDirectory(prefix="cf-between-", dir="/tmp") as directory:
        listener = await asyncio.start_unix_server(serve, Path(directory) / _SOCKET)
        try:
            yield f"{parts.scheme}://{parts.netloc}{parts.path}?host={quote(directory, safe='/')}"
        finally:
            await stop_accepting(listener.sockets)
            listener.close()
