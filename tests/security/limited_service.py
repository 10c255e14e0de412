"""A service with limits, seen from two processes; a trusted proxy states the address of each caller."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from api.service import Caller, basic, founded, served, settings_for
from counterfoil.core.secret import mint
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from counterfoil_api.limits import counters
from counterfoil_api.limits.counters import PREFIX
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey

LIMIT = 20
HERE, THERE = "192.0.2.7", "198.51.100.7"


@dataclass(frozen=True, slots=True)
class Place:
    """Two processes of one service with shared stores, behind a proxy that states the callers' addresses."""

    sessions: tuple[ClientSession, ClientSession]
    credentials: dict[str, str]
    redis: Redis

    def caller(self, plain: str, *, at: str = HERE, process: int = 0) -> Caller:
        return Caller(self.sessions[process], f"Bearer {plain}", {"X-Forwarded-For": at})

    @property
    def admin(self) -> Caller:
        """The administrator, from a separate network."""
        return self.caller(self.credentials["admin_token"], at="203.0.113.1")

    def login(self, password: str | None = None, *, at: str, email: str = "", process: int = 0) -> Caller:
        who = email or self.credentials["admin_login"]
        given = basic(who, self.credentials["admin_password"] if password is None else password)
        return Caller(self.sessions[process], given, {"X-Forwarded-For": at})

    async def told(self) -> None:
        """Wait until both processes share what the first one has counted."""
        async with asyncio.timeout(20):
            while not [key async for key in self.redis.scan_iter(f"{PREFIX}met:*")]:  # noqa: ASYNC110 - as Valkey is
                await asyncio.sleep(0.02)


async def look(caller: Caller) -> int:
    return (await caller.get("/v1/tokens/self")).status


async def guesses(place: Place, count: int, *, at: str = HERE, process: int = 0) -> list[int]:
    return [await look(place.caller(mint("service").plain, at=at, process=process)) for _ in range(count)]


@asynccontextmanager
async def limited(database: Database, valkey: Valkey, directory: Path) -> AsyncIterator[Place]:
    """A service whose networks may guess `LIMIT` times, with time-outs that suit a busy machine."""
    limits = valkey.database(2)
    settings = settings_for(
        database.app_url, LIMITS_REDIS_URL=limits, GUESS_LIMIT=f"{LIMIT}/10m", TRUSTED_PROXIES="127.0.0.1/32",
        REQUEST_TIMEOUT="5m",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patience:
        patience.setattr(counters, "PATIENCE_SECONDS", 60.0)
        async with _opened(settings, limits, directory) as place:
            yield place


@asynccontextmanager
async def _opened(settings: Settings, limits: str, directory: Path) -> AsyncIterator[Place]:
    async with Redis.from_url(limits) as redis:
        await redis.flushdb()
        credentials = await founded(settings, "limited", directory)
        async with (
            served(make_app(settings)) as one,
            served(make_app(settings)) as other,
            ClientSession(one) as here,
            ClientSession(other) as there,
        ):
            yield Place((here, there), credentials, redis)
