"""A ledger, and a connection to it that can be cut."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client.cutting import Proxy, cutting
from client.running import Service, running
from counterfoil.client import Client
from counterfoil_dev.postgres import Database


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    async with running(database, tmp_path) as ready:
        yield ready


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
    """The ledger behind a connection that can be cut."""
    async with Client(proxy.url, service.token, timeout_seconds=8, try_seconds=2) as client:
        yield client
