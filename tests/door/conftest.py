"""A separate server for tests that stop it, and other processes."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from counterfoil.postgres.migrate import migrate
from counterfoil_dev.postgres import APPLICATION, Database, Postgres, embedded_postgres
from door.other_process import Elsewhere, Start
from states import quick_state


@pytest.fixture(scope="module")
def own_server() -> Iterator[Postgres]:
    """A migrated server that a test may kill and reconfigure."""
    with quick_state() as state, embedded_postgres(state) as server:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(migrate(server.database().owner_url, app_role=APPLICATION))
        yield server


@pytest_asyncio.fixture
async def own(own_server: Postgres) -> AsyncIterator[Database]:
    """The database of a server that a test may stop; it is running and empty for each test."""
    yield own_server.database()
    if not own_server.child.alive:
        await asyncio.to_thread(own_server.start)
    own_server.run(
        """
        alter system reset all;
        select pg_reload_conf();
        alter table event disable trigger event_is_never_truncated;
        alter table secret disable trigger secret_is_never_truncated;
        truncate event, token, secret, idempotency_key;
        alter table event enable always trigger event_is_never_truncated;
        alter table secret enable always trigger secret_is_never_truncated;
        """,
        database=own_server.database().name,
    )


@pytest_asyncio.fixture
async def elsewhere() -> AsyncIterator[Start]:
    """Start other processes, each with its own door."""
    started: list[Elsewhere] = []

    async def start(url: str, **said: str) -> Elsewhere:
        started.append(await Elsewhere.start(url, **said))
        return started[-1]

    yield start
    for each in started:
        await each.kill()
