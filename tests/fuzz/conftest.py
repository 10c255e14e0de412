"""A service with callers of every kind."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from api.service import Caller, basic, founded, served, settings_for
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import OWNER, Postgres


@pytest_asyncio.fixture(scope="session")
async def fuzzed(
    postgres_server: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """The address of the service, and the credentials of its account."""
    postgres_server.run(f"create database fuzzed owner {OWNER} template {template};")
    settings = settings_for(postgres_server.database("fuzzed").app_url, GUESS_LIMIT="none")
    credentials = await founded(settings, "fuzzed", tmp_path_factory.mktemp("fuzzed"))
    async with served(make_app(settings)) as url:
        yield url, credentials
    postgres_server.run("drop database if exists fuzzed with (force);")


@pytest_asyncio.fixture
async def callers(fuzzed: tuple[str, dict[str, str]]) -> AsyncIterator[dict[str, Caller]]:
    """Four callers: an administrator's token, a token with hardly any rights, a password, and no credentials."""
    url, credentials = fuzzed
    async with ClientSession(url) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        yield {
            "admin": await admin.holder("all"),
            "member": await admin.holder("own.read", "own.create", "self.rotate"),
            "password": Caller(session, basic(credentials["admin_login"], credentials["admin_password"])),
            "nobody": Caller(session, "Bearer nobody"),
        }
