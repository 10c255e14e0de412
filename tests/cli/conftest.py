"""Shells in which the command line is called."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cli.shell import Shell, loaded
from client.running import Service, environment_of, running
from counterfoil.client import Client
from counterfoil.settings import Settings
from counterfoil_dev.postgres import Database
from postgres.sealing import sealed_beside


@pytest.fixture(scope="session")
def loaded_command() -> Iterator[Path]:
    with loaded() as address:
        yield address


@pytest.fixture
def environment(database: Database) -> dict[str, str]:
    return environment_of(database)


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return Settings.from_environment(environment, command="api")


@pytest.fixture
def server_side(loaded_command: Path, environment: dict[str, str], tmp_path: Path) -> Shell:
    """A shell on the server, with DATABASE_URL."""
    return Shell(loaded_command, tmp_path, environment)


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    async with running(database, tmp_path) as ready:
        yield ready


@pytest.fixture
def shell(loaded_command: Path, service: Service, tmp_path: Path) -> Shell:
    """A shell on another machine, with an administrator's token."""
    return Shell(loaded_command, tmp_path, {"COUNTERFOIL_URL": service.url, "COUNTERFOIL_TOKEN": service.token})


@pytest.fixture
async def ledger(service: Service) -> AsyncIterator[Client]:
    async with Client(service.url, service.token) as client:
        yield client


@pytest.fixture
async def sealer(service: Service) -> AsyncIterator[None]:
    async with sealed_beside(service.database.app_url):
        yield
