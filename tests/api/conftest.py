"""The sample application and the whole service, each on a free port."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web

from api.proxy import Asked
from api.sample_app import Shelf, believe, things
from api.service import Caller, founded, served, settings_for
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from counterfoil_api.http.requests import outer_layer
from counterfoil_api.operations.mounting import Mount
from counterfoil_api.operations.services import Services
from counterfoil_dev.postgres import OWNER, Postgres


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def address(shelf: Shelf) -> AsyncIterator[str]:
    """The address of the sample application."""

    def observe(method: str, route: str, status: int, _: float, problem: str | None) -> None:
        shelf.observed.append((method, route, status, problem))

    app = web.Application(middlewares=[outer_layer(observe)], client_max_size=2_000)
    Mount(Services.of(shelf), believe).onto(app, things.routes)
    async with served(app) as url:
        yield url


@pytest.fixture
async def client(address: str) -> AsyncIterator[ClientSession]:
    async with ClientSession(address) as session:
        yield session


@pytest_asyncio.fixture(scope="session")
async def api_settings(postgres_server: Postgres, template: str) -> AsyncIterator[Settings]:
    """The settings of the service that most tests of this folder share."""
    postgres_server.run(f"create database api owner {OWNER} template {template};")
    yield settings_for(postgres_server.database("api").app_url)
    postgres_server.run("drop database if exists api with (force);")


@pytest_asyncio.fixture(scope="session")
async def api_url(api_settings: Settings) -> AsyncIterator[str]:
    """The address of the service."""
    async with served(make_app(api_settings)) as url:
        yield url


@pytest_asyncio.fixture(scope="session")
async def session(api_url: str) -> AsyncIterator[ClientSession]:
    async with ClientSession(api_url) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session")
async def ours(api_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The credentials of our account."""
    return await founded(api_settings, "ours", tmp_path_factory.mktemp("ours"))


@pytest_asyncio.fixture(scope="session")
async def theirs(api_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The credentials of another account on the same service."""
    return await founded(api_settings, "theirs", tmp_path_factory.mktemp("theirs"))


@pytest.fixture
def admin(session: ClientSession, ours: dict[str, str]) -> Caller:
    """Our administrator's token."""
    return Caller(session, f"Bearer {ours['admin_token']}")


@pytest.fixture
def stranger(session: ClientSession, theirs: dict[str, str]) -> Caller:
    """The administrator of another account."""
    return Caller(session, f"Bearer {theirs['admin_token']}")


@pytest.fixture
def proxy(session: ClientSession, ours: dict[str, str]) -> Asked:
    """A proxy that guards an application for our account."""
    return Asked(session, ours["account"])
