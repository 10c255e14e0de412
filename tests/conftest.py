"""Real servers for the tests: one Postgres and one Valkey a process, a fresh database a test."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from counterfoil.postgres.migrate import migrate
from counterfoil_dev.postgres import APPLICATION, OWNER, Database, Postgres, embedded_postgres
from counterfoil_dev.state import State
from counterfoil_dev.valkey import Valkey, embedded_valkey
from hashes import hash_quickly
from states import quick_state

_TEMPLATE = "migrated"
_NUMBERS = count(1)

hash_quickly()
# Properties are judged by what they find, not by how fast a busy machine found it.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def server_state() -> Iterator[State]:
    """Where the servers of this process keep their data."""
    with quick_state() as state:
        yield state


@pytest.fixture
def place() -> Iterator[Path]:
    """A place for one test's own state, which pytest's `tmp_path` is not: the servers' account could not reach it."""
    with quick_state() as state:
        yield state.root


@pytest.fixture(scope="session")
def postgres_server(server_state: State) -> Iterator[Postgres]:
    """A Postgres for all tests of this process."""
    with embedded_postgres(server_state, options={"max_wal_size": "512MB"}) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(server_state: State) -> Iterator[Valkey]:
    """A Valkey for all tests of this process; `.url` is a REDIS_URL."""
    with embedded_valkey(server_state) as server:
        yield server


@pytest_asyncio.fixture(scope="session")
async def template(postgres_server: Postgres) -> str:
    """A migrated database that nobody connects to, so that it can be copied."""
    postgres_server.run(f"create database {_TEMPLATE} owner {OWNER};")
    await migrate(postgres_server.url(OWNER, _TEMPLATE), app_role=APPLICATION)
    return _TEMPLATE


@pytest_asyncio.fixture
async def database(postgres_server: Postgres, template: str) -> AsyncIterator[Database]:
    """A freshly migrated database."""
    name = f"test_{next(_NUMBERS)}"
    # Copied file by file, which for an empty database is faster than through the log.
    postgres_server.run(f"create database {name} owner {OWNER} template {template} strategy file_copy;")
    yield postgres_server.database(name)
    postgres_server.run(f"drop database if exists {name} with (force);")
