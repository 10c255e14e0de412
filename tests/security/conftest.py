"""A service with two accounts, for the checklist's tests over HTTP."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import ClientSession

from api.service import Caller, founded, served, settings_for
from counterfoil.postgres.connection import Connection
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import OWNER, Database, Postgres


@pytest_asyncio.fixture(scope="session")
async def checked_database(postgres_server: Postgres, template: str) -> AsyncIterator[Database]:
    """The database of the service that this folder shares."""
    postgres_server.run(f"create database security owner {OWNER} template {template};")
    yield postgres_server.database("security")
    postgres_server.run("drop database if exists security with (force);")


@pytest_asyncio.fixture(scope="session")
async def settings(checked_database: Database) -> Settings:
    return settings_for(checked_database.app_url)


@pytest_asyncio.fixture(scope="session")
async def session(settings: Settings) -> AsyncIterator[ClientSession]:
    async with served(make_app(settings)) as url, ClientSession(url) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session")
async def ours(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return await founded(settings, "ours", tmp_path_factory.mktemp("ours"))


@pytest_asyncio.fixture(scope="session")
async def theirs(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return await founded(settings, "theirs", tmp_path_factory.mktemp("theirs"))


@pytest.fixture
def admin(session: ClientSession, ours: dict[str, str]) -> Caller:
    return Caller(session, f"Bearer {ours['admin_token']}")


@pytest.fixture
def stranger(session: ClientSession, theirs: dict[str, str]) -> Caller:
    return Caller(session, f"Bearer {theirs['admin_token']}")


@pytest_asyncio.fixture
async def owner(checked_database: Database) -> AsyncIterator[Connection]:
    """A connection that sees every row."""
    connection = await asyncpg.connect(checked_database.owner_url)
    yield connection
    await connection.close()
