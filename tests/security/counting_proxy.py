"""A proxy of the database connection that counts statements and returned rows."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

from counterfoil_dev.postgres import Database

_RUN, _ROW = b"QE", b"D"
"""A simple query or an execution, as the frontend says it; a row of data, as the backend does."""


class Said(NamedTuple):
    """The counts so far."""

    statements: int
    rows: int
    answered: int

    def since(self, before: "Said") -> "Said":
        return Said(*(now - then for now, then in zip(self, before, strict=True)))


class Wire:
    """Forwards everything and counts it; `answered` counts bytes of the backend."""

    def __init__(self, database: Database, directory: Path) -> None:
        parts = urlsplit(database.app_url)
        self._target = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self.socket = directory / ".s.PGSQL.5432"
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path}?host={quote(str(directory), safe='/')}"
        self._statements = self._rows = self._answered = 0

    @property
    def said(self) -> Said:
        return Said(self._statements, self._rows, self._answered)

    def _asked(self, kind: bytes, _length: int) -> None:
        self._statements += kind in _RUN

    def _told(self, kind: bytes, length: int) -> None:
        self._rows += kind == _ROW
        self._answered += length

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        with suppress(OSError, asyncio.IncompleteReadError):
            length = await reader.readexactly(4)  # the first message has no type
            server_writer.write(length + await reader.readexactly(int.from_bytes(length) - 4))
            await asyncio.gather(_carry(reader, server_writer, self._asked), _carry(server_reader, writer, self._told))
        for end in (server_writer, writer):
            end.transport.abort()


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[bytes, int], None]
) -> None:
    while True:
        head = await reader.readexactly(5)
        length = int.from_bytes(head[1:])
        count(head[:1], length)
        writer.write(head + await reader.readexactly(length - 4))


@asynccontextmanager
async def overheard(database: Database) -> AsyncIterator[Wire]:
    """A counting proxy of this database."""
    directory = Path(tempfile.mkdtemp(prefix="cf-wire-", dir="/tmp"))
    wire = Wire(database, directory)
    server = await asyncio.start_unix_server(wire.serve, wire.socket)
    try:
        yield wire
    finally:
        server.close()
        shutil.rmtree(directory)
