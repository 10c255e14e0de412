"""Every store in which a running service could have kept something."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis

from counterfoil_dev.running import Service
from counterfoil_dev.state import State

OWN = {"secrets.env", "service.env", "credentials.json"}
"""Files that exist in order to hold secrets, readable by their owner alone."""


@dataclass(frozen=True, slots=True)
class Places:
    """A service and access to each of its stores."""

    service: Service
    told: dict[str, str]

    @classmethod
    def of(cls, service: Service) -> "Places":
        """The stores of this service, from its environment."""
        lines = State.at(service.root).service_environment.read_text().splitlines()
        pairs = (line.partition("=")[::2] for line in lines)
        return cls(service, {name: value.strip("'") for name, value in pairs})

    async def superuser(self) -> asyncpg.Connection:
        """A connection that may read everything."""
        _, at, rest = self.told["MIGRATE_DATABASE_URL"].partition("@")
        return await asyncpg.connect(f"postgresql://postgres{at}{rest}")

    async def log_every_statement(self) -> None:
        """Make Postgres log every statement with its parameters: what is not in its log, it never received."""
        connection = await self.superuser()
        for name, value in {"log_statement": "all", "log_parameter_max_length_on_error": "-1"}.items():
            await connection.execute(f"alter system set {name} = '{value}'")
        await connection.execute("select pg_reload_conf()")
        await connection.close()

    async def dump(self) -> dict[str, bytes]:
        """The content of a complete dump."""
        connection = await self.superuser()
        found = await dump_of(connection)
        await connection.close()
        return found

    async def checkpoint(self) -> None:
        """Make Postgres write everything in its memory to its files."""
        connection = await self.superuser()
        await connection.execute("checkpoint")
        await connection.close()

    async def valkey(self) -> bytes:
        """Every Valkey key with its value: wake-up calls and counters."""
        found: list[bytes] = []
        for url in (self.told["REDIS_URL"], self.told["LIMITS_REDIS_URL"]):
            async with Redis.from_url(url) as client:
                found += [part async for key in client.scan_iter() for part in await _held(client, key)]
        return b"\n".join(found)

    def files(self) -> Iterator[Path]:
        """Every file of the state except those that hold secrets on purpose: data, WAL, AOF, logs, metrics, pids."""
        for path in sorted(self.service.root.rglob("*")):
            if path.is_file() and path.name not in OWN:
                yield path


async def dump_of(connection: asyncpg.Connection) -> dict[str, bytes]:
    """Every row of every table as text, bytes in hex and base64; the last queries of sessions; every comment."""
    tables = await connection.fetch(
        "select format('%I.%I', schemaname, tablename) as name from pg_tables"
        " where schemaname not in ('pg_catalog', 'information_schema')"
    )
    names = [*(row["name"] for row in tables), "pg_stat_activity", "pg_description", "pg_prepared_xacts"]
    return {name: _written(await connection.fetch(f"select * from {name}")) for name in names}


_READING = {
    b"string": ("GET",), b"list": ("LRANGE", 0, -1), b"set": ("SMEMBERS",), b"zset": ("ZRANGE", 0, -1),
    b"hash": ("HGETALL",),
}  # fmt: skip


async def _held(client: Redis, key: bytes) -> list[bytes]:
    ask: Any = client.execute_command
    how, *where = _READING[await ask("TYPE", key)]
    held = await ask(how, key, *where)
    if isinstance(held, dict):
        held = [part for pair in held.items() for part in pair]
    return [key, *([held] if isinstance(held, bytes) else held)]


def _written(rows: list[asyncpg.Record]) -> bytes:
    return b"\n".join(_cell(value) for row in rows for value in row.values())


def _cell(value: object) -> bytes:
    if isinstance(value, bytes):
        return value.hex().encode() + b"\n" + base64.b64encode(value)
    return str(value).encode()
