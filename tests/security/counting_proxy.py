"""A proxy of the database connection that counts statements and returned rows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from between import Streams, between
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

    def __init__(self) -> None:
        self.url = ""
        self._statements = self._rows = self._answered = 0

    @property
    def said(self) -> Said:
        return Said(self._statements, self._rows, self._answered)

    def _asked(self, kind: bytes, _length: int) -> None:
        self._statements += kind in _RUN

    def _told(self, kind: bytes, length: int) -> None:
        self._rows += kind == _ROW
        self._answered += length

    async def carry(self, client: Streams, server: Streams) -> None:
        length = await client[0].readexactly(4)  # the first message has no type
        server[1].write(length + await client[0].readexactly(int.from_bytes(length) - 4))
        await asyncio.gather(_carry(client[0], server[1], self._asked), _carry(server[0], client[1], self._told))


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
    wire = Wire()
    async with between(database, wire.carry) as wire.url:
        yield wire
