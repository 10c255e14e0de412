"""A proxy of the database connection that freezes: no byte passes in either direction until it thaws."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from counterfoil_dev.postgres import Database


class Freezing:
    """Forwards every byte unless it is frozen."""

    def __init__(self, database: Database, directory: Path) -> None:
        parts = urlsplit(database.app_url)
        self._target = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self.socket = directory / ".s.PGSQL.5432"
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path}?host={quote(str(directory), safe='/')}"
        self.thawed = asyncio.Event()
        self.thawed.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        with suppress(OSError):
            await asyncio.gather(self._carry(reader, server_writer), self._carry(server_reader, writer))
        for end in (server_writer, writer):
            end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(65_536):
            await self.thawed.wait()
            writer.write(said)
        raise ConnectionResetError


@asynccontextmanager
async def freezing(database: Database) -> AsyncIterator[Freezing]:
    directory = Path(tempfile.mkdtemp(prefix="cf-freeze-", dir="/tmp"))
    way = Freezing(database, directory)
    server = await asyncio.start_unix_server(way.serve, way.socket)
    try:
        yield way
    finally:
        way.thawed.set()
        server.close()
        shutil.rmtree(directory)
