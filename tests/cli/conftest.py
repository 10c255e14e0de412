"""What a command finds in its environment, and the command itself."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from client.running import Service, environment_of, running
from counterfoil.settings import Settings
from counterfoil_dev.postgres import Database


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Shell:
    """A place with an environment in which `counterfoil` is called."""

    directory: Path
    environment: Mapping[str, str]

    async def __call__(
        self, *words: str, typed: str = "", stderr: int = asyncio.subprocess.PIPE, **environment: str
    ) -> Said:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERFOIL")}
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("counterfoil"), *words, cwd=self.directory,
            env={**clean, **self.environment, **environment}, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=stderr,
        )  # fmt: skip
        out, err = await process.communicate(typed.encode())
        return Said(process.returncode or 0, out.decode(), (err or b"").decode())


@pytest.fixture
def environment(database: Database) -> dict[str, str]:
    return environment_of(database)


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return Settings.from_environment(environment, command="api")


@pytest.fixture
def server_side(environment: dict[str, str], tmp_path: Path) -> Shell:
    """A shell where the database is."""
    return Shell(tmp_path, environment)


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    async with running(database, tmp_path) as ready:
        yield ready


@pytest.fixture
def shell(service: Service, tmp_path: Path) -> Shell:
    """A shell anywhere, with an administrator's token."""
    return Shell(tmp_path, {"COUNTERFOIL_URL": service.url, "COUNTERFOIL_TOKEN": service.token})
