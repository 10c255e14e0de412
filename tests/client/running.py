"""The real API on its own port, with an account and its administrator's token."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg

from counterfoil.core.duration import FOREVER
from counterfoil.core.principal import SYSTEM
from counterfoil.core.subjects.token.commands import Sweep
from counterfoil.door import Door
from counterfoil.settings import Settings
from counterfoil.uses.found_account import found
from counterfoil_api.application import make_app
from counterfoil_api.http.server import Runner
from counterfoil_dev.postgres import Database
from listening import listening


@dataclass(frozen=True, slots=True)
class Service:
    """Its address, its administrator's token, and its log."""

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

    async def sweep(self, account: UUID, token_id: UUID) -> None:
        """Sweep a token as the worker would."""
        async with Door(self.database.app_url) as door:
            await door.execute(Sweep(account=account, id=token_id, by=SYSTEM))

    async def tokens(self) -> int:
        """The number of tokens except the administrator's."""
        connection = await asyncpg.connect(self.database.owner_url)
        try:
            return int(await connection.fetchval("select count(*) - 1 from token"))
        finally:
            await connection.close()


def environment_of(database: Database) -> dict[str, str]:
    return {
        "DATABASE_URL": database.app_url,
        "MIGRATE_DATABASE_URL": database.owner_url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PEPPERS": f"1:{base64.b64encode(b'p' * 32).decode()}",
        "KEY_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
    }


@asynccontextmanager
async def running(database: Database, directory: Path, **more: str) -> AsyncIterator[Service]:
    settings = Settings.from_environment({**environment_of(database), **more}, command="api")
    file = directory / "credentials.json"
    await found(settings, name="first", email="admin@counterfoil.example", file=file, lifetime=FOREVER)
    credentials = json.loads(file.read_text())
    async with listening(Runner(make_app(settings))) as (host, port):
        url = f"http://{host}:{port}"
        file.write_text(json.dumps({**credentials, "url": url}))
        yield Service(url, credentials["admin_token"], database, file)
