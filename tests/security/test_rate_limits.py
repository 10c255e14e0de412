"""E. Rate limits are exact and announced; a client address is accepted only from trusted proxies."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from api.service import Answer, Caller, founded, served, settings_for
from counterfoil.core.secret import mint
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from security.limited_service import LIMIT, Place, limited, look
from security.processes import several


@pytest.fixture
async def place(database: Database, valkey: Valkey, tmp_path: Path) -> AsyncIterator[Place]:
    async with limited(database, valkey, tmp_path) as opened:
        yield opened


async def test_exactly_a_hundred_of_two_hundred_requests_pass_over_three_processes(
    database: Database, valkey: Valkey, tmp_path: Path
) -> None:
    limits = valkey.database(3)
    async with Redis.from_url(limits) as redis:
        await redis.flushdb()
    admin = await founded(settings_for(database.app_url), "three", tmp_path)
    async with several(database, 3, LIMITS_REDIS_URL=limits, RATE_LIMIT="100/10m") as urls:
        shares = zip(urls, (67, 67, 66), strict=True)
        answers = await asyncio.gather(*(asks(url, admin["admin_token"], share) for url, share in shares))
    told = [answer for each in answers for answer in each]
    passed = [answer for answer in told if answer.status == 200]
    refused = [answer for answer in told if answer.status == 429]
    assert (len(passed), len(refused)) == (100, 100)
    left = [re.fullmatch(r'"principal";r=(\d+);t=(\d+)', answer.headers["RateLimit"]) for answer in passed]
    assert sorted(int(match[1]) for match in left if match) == list(range(100))
    assert {answer.headers["RateLimit-Policy"] for answer in told} == {'"principal";q=100;w=600'}
    for answer in refused:
        assert answer.problem == "rate-limited"
        assert 590 <= int(answer.headers["Retry-After"]) <= 600
        assert re.fullmatch(r'"principal";r=0;t=(59\d|600)', answer.headers["RateLimit"])


async def asks(url: str, plain: str, count: int) -> list[Answer]:
    async with ClientSession(url) as session:
        return await asyncio.gather(*(Caller(session, f"Bearer {plain}").get("/v1/tokens/self") for _ in range(count)))


async def test_each_caller_has_its_own_rate_limit(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database.app_url, RATE_LIMIT="3/10m")
    credentials = await founded(settings, "own", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        held = await admin.issue(scopes=["tokens.read"])
        holder = admin.with_token(held["secret"])
        bought = [await holder.post("/v1/exchange") for _ in range(4)]
        assert [answer.status for answer in bought] == [200, 200, 200, 429]
        bearer = admin.with_token(bought[0].json["access_token"])
        # A token and the bearers issued for it are one caller.
        statuses = [await look(each) for each in (holder, bearer, bearer, holder, bearer)]
        assert statuses == [200, 200, 200, 429, 429]
        assert await look(admin) == 200
        assert "RateLimit" not in (await admin.get("/healthz")).headers
        missing = await admin.get("/v1/tokens/00000000-0000-0000-0000-000000000009")
        assert (missing.status, missing.headers["RateLimit"][:15]) == (404, '"principal";r=0')


@pytest.mark.parametrize(("trusted", "elsewhere"), [("", 429), ("10.0.0.0/8", 429), ("127.0.0.1/32", 401)])
async def test_a_client_address_is_accepted_only_from_a_trusted_proxy(
    database: Database, trusted: str, elsewhere: int
) -> None:
    settings = settings_for(database.app_url, TRUSTED_PROXIES=trusted, GUESS_LIMIT=f"{LIMIT}/10m")
    async with served(make_app(settings)) as url, ClientSession(url) as session:

        async def guessed(number: int, *, behind: str = "") -> int:
            there = {"X-Forwarded-For": f"192.0.{number}.7{behind}", "Forwarded": f"for=192.0.{number}.7"}
            return await look(Caller(session, f"Bearer {mint('service').plain}", there))

        assert [await guessed(number) for number in range(LIMIT + 20)][-1] == elsewhere
        # Values that a client sends stand left of what our proxy adds, and do not change the network.
        assert [await guessed(number, behind=", 203.0.113.50") for number in range(LIMIT + 20)][-1] == 429


async def test_a_forged_address_does_not_pass_a_policy_of_networks(place: Place) -> None:
    policy = {"policy": {"networks": ["203.0.113.0/24"]}}
    assert (await place.admin.patch("/v1/account", policy)).status == 200
    admin = place.credentials["admin_token"]
    for forwarded, status in (("203.0.113.1", 200), ("192.0.2.7", 403), ("203.0.113.1, 192.0.2.7", 403), ("x", 403)):
        assert await look(place.caller(admin, at=forwarded)) == status, forwarded
