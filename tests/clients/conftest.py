"""One service of two processes for all clients, with an account that has everything they need."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientSession, web

from api.service import Caller, served, settings_for
from clients.curl import Curl
from clients.environment import Clients, installed
from counterfoil_dev.postgres import OWNER, Postgres
from dialects.accounts import Account, opened
from postgres.sealing import sealed_beside
from security.processes import several


@dataclass(frozen=True)
class Place:
    """The addresses of the two processes, and the account."""

    url: str
    elsewhere: str
    account: Account
    native: Caller

    def given(self, **more: Any) -> dict[str, Any]:
        """The environment of a script."""
        return {**msgspec.to_builtins(self.account), "url": self.url, **more}


@pytest.fixture(scope="session")
def clients() -> Clients:
    return installed()


@pytest.fixture
def curl(tmp_path: Any) -> Curl:
    if shutil.which("curl", path=os.environ["PATH"]) is None:
        pytest.skip("there is no curl on this machine")
    return Curl(tmp_path)


async def environment(request: web.Request) -> web.Response:
    """The answer of the platform behind Virtuozzo's API: the environment runs until it is stopped."""
    form = await request.post()
    name = request.query.get("envName") or form.get("envName")
    output = {
        "result": 0,
        "env": {"envName": name, "status": 1},
        "method": request.path,
        "parameters": sorted({*form, *request.query}),
    }
    return web.json_response(output)


@pytest_asyncio.fixture(scope="session")
async def place(
    postgres_server: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    postgres_server.run(f"create database clients owner {OWNER} template {template};")
    database = postgres_server.database("clients")
    platform = web.Application()
    platform.router.add_route("*", "/{path:.*}", environment)
    account = await opened(settings_for(database.app_url), "clients", tmp_path_factory.mktemp("clients"))
    limits = {
        "GUESS_LIMIT": "none",
        "LEAK_REPORT_LIMIT": "none",
    }  # clients present wrong credentials, all from one address
    async with (
        served(platform) as upstream,
        several(database, 2, VIRTUOZZO_UPSTREAM=upstream, **limits) as (url, elsewhere),
        sealed_beside(database.app_url),
        ClientSession(url) as session,
    ):
        yield Place(url, elsewhere, account, Caller(session, f"Bearer {account.admin_token}"))
    postgres_server.run("drop database if exists clients with (force);")
