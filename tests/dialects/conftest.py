"""A service with every dialect and two accounts that must be isolated from each other."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from api.service import Caller, served, settings_for
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import OWNER, Postgres
from dialects.accounts import Account, opened


@pytest_asyncio.fixture(scope="session")
async def dialect_settings(postgres_server: Postgres, template: str) -> AsyncIterator[Settings]:
    """The settings of the service that most tests of this folder share."""
    postgres_server.run(f"create database dialects owner {OWNER} template {template};")
    yield settings_for(postgres_server.database("dialects").app_url)
    postgres_server.run("drop database if exists dialects with (force);")


@pytest_asyncio.fixture(scope="session")
async def dialect_url(dialect_settings: Settings, postgres_server: Postgres) -> AsyncIterator[str]:
    """The address of the service, which has a sealer."""
    sealed = postgres_server.database("dialects").app_url
    async with served(make_app(dialect_settings), sealed=sealed) as url:
        yield url


@pytest_asyncio.fixture(scope="session")
async def web_session(dialect_url: str) -> AsyncIterator[ClientSession]:
    async with ClientSession(dialect_url) as session:
        yield session


@pytest_asyncio.fixture(scope="session")
async def here(dialect_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Account:
    """Our account: its administrator, a member, an application and a zone."""
    return await opened(dialect_settings, "here", tmp_path_factory.mktemp("here"))


@pytest_asyncio.fixture(scope="session")
async def there(dialect_settings: Settings, here: Account, tmp_path_factory: pytest.TempPathFactory) -> Account:
    """Another account on the same service; ours is the first, to which logins without an account belong."""
    assert here
    return await opened(dialect_settings, "there", tmp_path_factory.mktemp("there"))


@pytest.fixture
def native(web_session: ClientSession, here: Account) -> Caller:
    """Our administrator's token in the native API."""
    return Caller(web_session, f"Bearer {here.admin_token}")


@pytest.fixture
def native_there(web_session: ClientSession, there: Account) -> Caller:
    """The other account's administrator's token in the native API."""
    return Caller(web_session, f"Bearer {there.admin_token}")
