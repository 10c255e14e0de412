"""Sealing for tests: everything committed, at once or in the background, with the production pass."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from counterfoil.postgres.connection import LOST
from counterfoil.postgres.sealing import CHUNK, Sealing, connect_sealer


async def seal_all(url: str, *, chunk: int = CHUNK) -> int:
    """Seal everything that is committed and return the size of the log."""
    connection = await connect_sealer(url)
    try:
        sealing = Sealing(connection, chunk=chunk)
        while not (step := await sealing.step()).finished:
            pass
        return step.size
    finally:
        await connection.close()


@asynccontextmanager
async def sealed_beside(url: str) -> AsyncIterator[None]:
    """Keep sealing committed events while the block runs."""

    async def keep_sealing() -> None:
        while not ended.is_set():
            # The event loop stops between tests; the server would close a connection that is idle in a transaction.
            with suppress(*LOST):
                await seal_all(url)
            await asyncio.sleep(0.05)

    ended = asyncio.Event()
    sealer = asyncio.create_task(keep_sealing())
    try:
        yield
    finally:
        ended.set()
        await sealer
