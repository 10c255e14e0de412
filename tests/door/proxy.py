"""A proxy of the database connection that fails around COMMIT."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from counterfoil_dev.postgres import Database

_COMMIT = re.compile(rb"Q\x00\x00\x00.commit( and chain)?\x00", re.DOTALL)
_CHUNK = 1 << 16

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Failure = Callable[[bytes, Streams, asyncio.StreamWriter], Awaitable[None]]


class Proxy:
    """Forwards everything; each of the next `failures` applies to one COMMIT."""

    def __init__(self, database: Database, directory: Path) -> None:
        parts = urlsplit(database.app_url)
        self._target = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self.socket = directory / ".s.PGSQL.5432"
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path}?host={quote(str(directory), safe='/')}"
        self.failures: list[Failure] = []
        self.commits = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        answers = asyncio.create_task(_pump(server_reader, writer))
        with suppress(OSError):
            while said := await reader.read(_CHUNK):
                committing = _COMMIT.search(said) is not None
                self.commits += committing
                if committing and self.failures:
                    failure = self.failures.pop(0)
                    answers.cancel()
                    await asyncio.wait([answers])
                    await failure(said, (server_reader, server_writer), writer)
                    break
                server_writer.write(said)
                await server_writer.drain()
        answers.cancel()
        for end in (server_writer, writer):
            end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while said := await reader.read(_CHUNK):
            writer.write(said)
            await writer.drain()
        writer.close()


async def lose_the_answer(said: bytes, server: Streams, _client: asyncio.StreamWriter) -> None:
    """The server commits and answers, and the answer is dropped."""
    reader, writer = server
    writer.write(said)
    assert b"COMMIT" in await reader.read(_CHUNK)


async def lose_the_question(_said: bytes, _server: Streams, _client: asyncio.StreamWriter) -> None:
    """COMMIT never reaches the server."""


async def hurry(said: bytes, server: Streams, _client: asyncio.StreamWriter) -> None:
    """COMMIT reaches the server, and the connection is cut while it commits."""
    server[1].write(said)
    await asyncio.sleep(0)


async def arrive_late(said: bytes, server: Streams, client: asyncio.StreamWriter) -> None:
    """The client is disconnected at once, and COMMIT reaches the server half a second later."""
    client.transport.abort()
    await asyncio.sleep(0.5)
    await lose_the_answer(said, server, client)


@asynccontextmanager
async def cutting(database: Database) -> AsyncIterator[Proxy]:
    directory = Path(tempfile.mkdtemp(prefix="cf-proxy-", dir="/tmp"))
    proxy = Proxy(database, directory)
    server = await asyncio.start_unix_server(proxy.serve, proxy.socket)
    try:
        yield proxy
    finally:
        server.close()
        shutil.rmtree(directory)
