"""One service for all clients, with an account that has all they ask for."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientSession

from api.service import Caller, served, settings_for
from clients.environment import Clients, installed
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import OWNER, Postgres
from dialects.accounts import Account, opened


@dataclass(frozen=True)
class Place:
    """Where the service is, and the account on it."""

    url: str
    account: Account
    native: Caller

    def given(self, **more: Any) -> dict[str, Any]:
        """What a script is told."""
        return {**msgspec.to_builtins(self.account), "url": self.url, **more}


@pytest.fixture(scope="session")
def clients() -> Clients:
    return installed()


@pytest_asyncio.fixture(scope="session")
async def place(
    postgres_server: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    postgres_server.run(f"create database clients owner {OWNER} template {template};")
    database_url = postgres_server.database("clients").app_url
    settings = settings_for(database_url)
    account = await opened(settings, "clients", tmp_path_factory.mktemp("clients"))
    async with served(make_app(settings), sealed=database_url) as url, ClientSession(url) as session:
        yield Place(url, account, Caller(session, f"Bearer {account.admin_token}"))
    postgres_server.run("drop database if exists clients with (force);")
