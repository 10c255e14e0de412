"""A door for every test, and a server of our own for those that take one down."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import pytest_asyncio

from counterfoil.door import Door
from counterfoil.postgres.connection import Connection
from counterfoil.postgres.migrate import migrate
from counterfoil_dev.postgres import APPLICATION, Database, Postgres, embedded_postgres
from counterfoil_dev.state import temporary_state
from door.elsewhere import Elsewhere, Start


@pytest_asyncio.fixture
async def door(database: Database) -> AsyncIterator[Door]:
    async with Door(database.app_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def owner(database: Database) -> AsyncIterator[Connection]:
    """A connection with the owner's rights."""
    connection = await asyncpg.connect(database.owner_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[Postgres]:
    """A migrated server that a test may kill and reconfigure."""
    with temporary_state() as state, embedded_postgres(state) as server:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(migrate(server.database().owner_url, app_role=APPLICATION))
        yield server


@pytest_asyncio.fixture
async def elsewhere() -> AsyncIterator[Start]:
    """Start other processes with doors of their own: `await elsewhere(url)`."""
    started: list[Elsewhere] = []

    async def start(url: str, **said: str) -> Elsewhere:
        started.append(await Elsewhere.start(url, **said))
        return started[-1]

    yield start
    for each in started:
        await each.kill()
