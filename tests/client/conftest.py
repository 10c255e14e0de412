"""The real service on a port of its own, with an account and its administrator's token."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web

from client.cutting import Proxy, cutting
from counterfoil.client import Client
from counterfoil.founding import found
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from counterfoil_api.serving import Runner
from counterfoil_dev.postgres import Database


@dataclass(frozen=True, slots=True)
class Service:
    """Where it is, who may do everything there, and what it has written."""

    url: str
    token: str
    database: Database
    credentials: Path

    async def types(self, token_id: object) -> list[str]:
        """The events of a token."""
        connection = await asyncpg.connect(self.database.owner_url)
        try:
            rows = await connection.fetch("select type from event where subject_id = $1 order by version", token_id)
            return [row["type"] for row in rows]
        finally:
            await connection.close()

    async def tokens(self) -> int:
        """How many tokens there are beside the administrator's."""
        connection = await asyncpg.connect(self.database.owner_url)
        try:
            return int(await connection.fetchval("select count(*) - 1 from token"))
        finally:
            await connection.close()


@pytest.fixture
def settings(database: Database) -> Settings:
    return Settings.from_environment(
        {
            "DATABASE_URL": database.app_url,
            "MIGRATE_DATABASE_URL": database.owner_url,
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "PEPPERS": f"1:{base64.b64encode(b'p' * 32).decode()}",
            "KEY_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
        }
    )


@pytest.fixture
async def service(settings: Settings, database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    file = tmp_path / "credentials.json"
    await found(settings, name="first", email="admin@counterfoil.example", file=file)
    credentials = json.loads(file.read_text())
    runner = Runner(make_app(settings))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = "http://{}:{}".format(*runner.addresses[0])
    file.write_text(json.dumps({**credentials, "url": url}))
    yield Service(url, credentials["admin_token"], database, file)
    await runner.cleanup()


@pytest.fixture
async def ledger(service: Service) -> AsyncIterator[Client]:
    async with Client(service.url, service.token) as client:
        yield client


@pytest.fixture
async def proxy(service: Service) -> AsyncIterator[Proxy]:
    async with cutting(service.url) as between:
        yield between


@pytest.fixture
async def shaky(service: Service, proxy: Proxy) -> AsyncIterator[Client]:
    """The ledger over a line that is cut."""
    async with Client(proxy.url, service.token, timeout_seconds=8, try_seconds=2) as client:
        yield client
