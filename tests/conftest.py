"""Real servers for the tests: one Postgres and one Valkey for each process, a fresh database for each test."""

import gc
import signal
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from counterfoil.door import Door
from counterfoil.postgres.connection import Connection, Pool, open_pool
from counterfoil.postgres.migrate import migrate
from counterfoil_dev.postgres import APPLICATION, OWNER, Database, Postgres, embedded_postgres
from counterfoil_dev.state import State
from counterfoil_dev.valkey import Valkey, embedded_valkey
from hashes import hash_quickly
from states import quick_state

_TEMPLATE = "migrated"
_NUMBERS = count(1)

hash_quickly()
# A run in the background of a shell ignores Ctrl-C, and its children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The machine may be busy, so no property has a deadline.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
gc.disable()  # until the tests are collected: what that makes is kept


def pytest_collection_finish() -> None:
    """Let the garbage collector ignore the collected tests, and run seldom: else it takes a fifth of the time."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.fixture(scope="session")
def server_state() -> Iterator[State]:
    """The state directory of the servers of this process."""
    with quick_state() as state:
        yield state


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for one test's own state; the servers' account could not reach pytest's `tmp_path`."""
    with quick_state() as state:
        yield state.root


@pytest.fixture(scope="session")
def postgres_server(server_state: State) -> Iterator[Postgres]:
    """A Postgres for all tests of this process."""
    with embedded_postgres(server_state, options={"max_wal_size": "512MB"}) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(server_state: State) -> Iterator[Valkey]:
    """A Valkey for all tests of this process; its `url` is a REDIS_URL."""
    with embedded_valkey(server_state) as server:
        yield server


@pytest_asyncio.fixture(scope="session")
async def template(postgres_server: Postgres) -> str:
    """A migrated database without connections, so that it can be copied."""
    postgres_server.run(f"create database {_TEMPLATE} owner {OWNER};")
    await migrate(postgres_server.url(OWNER, _TEMPLATE), app_role=APPLICATION)
    return _TEMPLATE


@pytest_asyncio.fixture(scope="session")
async def superuser(postgres_server: Postgres) -> AsyncIterator[asyncpg.Pool]:
    """One connection with all rights, which is opened again if a test has ended it."""
    async with asyncpg.create_pool(postgres_server.url("postgres", "postgres"), min_size=0, max_size=1) as opened:
        yield opened


@pytest_asyncio.fixture
async def database(postgres_server: Postgres, template: str, superuser: asyncpg.Pool) -> AsyncIterator[Database]:
    """A freshly migrated database."""
    name = f"test_{next(_NUMBERS)}"
    # Copied file by file, which for an empty database is faster than through the log.
    await superuser.execute(f"create database {name} owner {OWNER} template {template} strategy file_copy")
    yield postgres_server.database(name)
    await superuser.execute(f"drop database if exists {name} with (force)")


@pytest_asyncio.fixture
async def door(database: Database) -> AsyncIterator[Door]:
    async with Door(database.app_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Connections with the rights of the application."""
    async with await open_pool(database.app_url, size=4) as opened:
        yield opened


@pytest_asyncio.fixture
async def owner(database: Database) -> AsyncIterator[Connection]:
    """A connection with the rights of the database's owner."""
    connection = await asyncpg.connect(database.owner_url)
    yield connection
    await connection.close()
