"""A proxy of the database connection that freezes: no byte passes in either direction until it thaws."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from between import Streams, between
from counterfoil_dev.postgres import Database


class Freezing:
    """Forwards every byte unless it is frozen."""

    def __init__(self) -> None:
        self.url = ""
        self.thawed = asyncio.Event()
        self.thawed.set()

    async def carry(self, client: Streams, server: Streams) -> None:
        await asyncio.gather(self._carry(client[0], server[1]), self._carry(server[0], client[1]))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while stated := await reader.read(65_536):
            await self.thawed.wait()
            writer.write(stated)
        raise ConnectionResetError


@asynccontextmanager
async def freezing(database: Database) -> AsyncIterator[Freezing]:
    way = Freezing()
    async with between(database, way.carry) as way.url:
        try:
            yield way
        finally:
            way.thawed.set()
