"""Two processes of one service with every dialect and shared counters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from api.service import Caller, served, settings_for
from counterfoil_api.application import make_app
from counterfoil_api.limits import counters
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from dialects.accounts import Account, opened
from dialects.dialect_clients import Speaker

GUESSES = 12
HERE, THERE = "192.0.2.7", "198.51.100.7"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two processes; a proxy before them states the callers' addresses."""

    sessions: tuple[ClientSession, ClientSession]
    account: Account

    def caller(self, credentials: str = "", *, at: str = HERE, process: int = 0, **headers: str) -> Caller:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Caller(self.sessions[process], credentials, {"X-Forwarded-For": at, **named})

    @property
    def native(self) -> Caller:
        """The administrator's token, from a separate network."""
        return self.caller(f"Bearer {self.account.admin_token}", at="203.0.113.1")

    async def speaker(self, kind: type[Speaker]) -> Speaker:
        """The administrator as a client of a dialect."""
        return await kind.of(self.sessions[0], self.account)

    def repeating(self, speaker: Speaker, key: str) -> tuple[Speaker, Speaker]:
        """The same client at each process, whose requests all have the same Idempotency-Key."""
        return self._at(speaker, 0, key), self._at(speaker, 1, key)

    def _at(self, speaker: Speaker, process: int, key: str) -> Speaker:
        other = copy(speaker)
        headers = {**speaker.caller.headers, "Idempotency-Key": key}
        other.caller = replace(speaker.caller, session=self.sessions[process], headers=headers)
        return other


@asynccontextmanager
async def pair_of(database: Database, valkey: Valkey, directory: Path) -> AsyncIterator[Pair]:
    """Serve both. A network has few guesses; time-outs suit a busy machine."""
    limits = valkey.database(3)
    settings = settings_for(
        database.app_url, LIMITS_REDIS_URL=limits, GUESS_LIMIT=f"{GUESSES}/10m", TRUSTED_PROXIES="127.0.0.1/32",
        REQUEST_TIMEOUT="5m",
    )  # fmt: skip
    async with Redis.from_url(limits) as redis:
        await redis.flushdb()
    account = await opened(settings, "pair", directory)
    with pytest.MonkeyPatch.context() as patience:
        patience.setattr(counters, "PATIENCE_SECONDS", 60.0)
        async with (
            served(make_app(settings)) as one,
            served(make_app(settings)) as other,
            ClientSession(one) as here,
            ClientSession(other) as there,
        ):
            yield Pair((here, there), account)
