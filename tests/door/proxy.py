"""A proxy of the database connection that fails around COMMIT."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from between import Streams, between
from counterfoil_dev.postgres import Database

_COMMIT = re.compile(rb"Q\x00\x00\x00.commit( and chain)?\x00", re.DOTALL)
_CHUNK = 1 << 16

Failure = Callable[[bytes, Streams, asyncio.StreamWriter], Awaitable[None]]


class Proxy:
    """Forwards everything; each of the next `failures` applies to one COMMIT."""

    def __init__(self) -> None:
        self.url = ""
        self.failures: list[Failure] = []

    async def carry(self, client: Streams, server: Streams) -> None:
        answers = asyncio.create_task(_pump(server[0], client[1]))
        with suppress(OSError):
            while said := await client[0].read(_CHUNK):
                if self.failures and _COMMIT.search(said):
                    failure = self.failures.pop(0)
                    answers.cancel()
                    await asyncio.wait([answers])
                    await failure(said, server, client[1])
                    break
                server[1].write(said)
                await server[1].drain()
        answers.cancel()


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
    proxy = Proxy()
    async with between(database, proxy.carry) as proxy.url:
        yield proxy
