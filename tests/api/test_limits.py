"""Counters: the same with Valkey and in one process alone, exact under concurrency, and never an outage."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from ipaddress import ip_address
from time import monotonic
from typing import cast

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from api.service import served, settings_for
from counterfoil.core.credentials import SecretGiven
from counterfoil.core.principal import NIL
from counterfoil.core.secret import Peppers
from counterfoil.postgres.connection import Pool
from counterfoil.uses.attempts import Attempts
from counterfoil_api.application import make_app
from counterfoil_api.http.errors import RateLimited
from counterfoil_api.limits import counting
from counterfoil_api.limits.counters import PATIENCE_SECONDS, PREFIX, Counters, open_counters
from counterfoil_api.limits.counting import CLEAR, GIVE_BACK, NOTE, NOTED, RETURN, TAKE, TURN, Cells, Step
from counterfoil_api.limits.expiring_map import ExpiringMap
from counterfoil_api.limits.logins import Logins
from counterfoil_api.limits.quotas import Quota, Quotas
from counterfoil_api.limits.seen_secrets import SeenSecrets
from counterfoil_dev.postgres import Database
from counterfoil_dev.state import temporary_state
from counterfoil_dev.valkey import Valkey, embedded_valkey

HOUR = 3_600_000
FAILING = (5, HOUR, 2 * HOUR, 100, 24 * HOUR, 48 * HOUR)
PEPPERS = Peppers({1: b"1" * 32})
"""A turn that waits from the fifth failure on."""


@pytest.fixture
async def url(valkey: Valkey) -> str:
    """An empty Valkey database for limits."""
    async with Redis.from_url(valkey.database(1)) as redis:
        await redis.flushdb()
    return valkey.database(1)


@pytest.fixture
async def counters(url: str) -> AsyncIterator[Counters]:
    async with open_counters(url) as opened:
        yield opened


def steps(dice: random.Random) -> tuple[Step, str, tuple[int, ...]]:
    """Any step on one of a few keys; its times are too long to end in this test."""
    step, args = dice.choice([
        (TAKE, (dice.randint(1, 6), dice.choice((HOUR, 2 * HOUR)), dice.randint(1, 2))),
        (GIVE_BACK, (1,)),
    ])  # fmt: skip
    if dice.random() < 0.5:
        turn = (dice.randint(2, 4), HOUR, 2 * HOUR, 9, 4 * HOUR, 9 * HOUR)
        step, args = dice.choice([(TURN, turn), (RETURN, ()), (CLEAR, ())])
        return step, f"turn{dice.randint(1, 3)}", args
    return step, f"take{dice.randint(1, 3)}", args


@pytest.mark.parametrize("seed", range(20))
async def test_a_process_alone_counts_like_valkey(url: str, seed: int) -> None:
    dice, cells = random.Random(seed), Cells()
    async with Redis.from_url(url) as redis:
        await redis.flushdb()
        for _ in range(200):
            step, key, args = steps(dice)
            there = await redis.eval(step.lua, 1, key, *args)
            here = step.here(cells, key, args, counting.milliseconds())
            assert [there[:-1], there[-1:]] == [here[:-1], pytest.approx(here[-1:], abs=2_000)], (step, key, args)


async def test_a_mark_lasts_for_its_time(counters: Counters) -> None:
    async with open_counters("") as alone:
        for each in (counters, alone):
            assert await each.do(NOTED, "x") == [0]
            await each.do(NOTE, "x", 300)
            assert await each.do(NOTED, "x") == [1]
            await asyncio.sleep(0.4)
            assert await each.do(NOTED, "x") == [0]


async def test_two_hundred_simultaneous_requests_share_a_limit_of_a_hundred(url: str) -> None:
    async with open_counters(url) as one, open_counters(url) as other:
        quotas = (Quotas(one), Quotas(other))
        takes = [quotas[number % 2].take("a", Quota(100, 60)) for number in range(200)]
        left = await asyncio.gather(*takes)
    assert sum(each.granted for each in left) == 100
    assert all(59 < each.seconds <= 60 for each in left)
    assert sorted(each.most for each in left if each.granted) == list(range(100))


async def test_a_window_begins_with_its_first_request_and_ends_without_one(counters: Counters) -> None:
    quotas, quota = Quotas(counters), Quota(2, 1)
    assert [(await quotas.take("w", quota)).granted for _ in range(3)] == [True, True, False]
    left = await quotas.take("w", quota)
    assert (left.granted, left.whole_seconds) == (False, 1)
    await asyncio.sleep(left.seconds + 0.05)
    assert (await quotas.take("w", quota)).granted


async def test_a_returned_unit_can_be_taken_again(counters: Counters) -> None:
    quotas, quota = Quotas(counters), Quota(2, 60)
    for _ in range(5):
        assert (await quotas.take("g", quota)).granted
        await quotas.give_back("g")
    await quotas.give_back("g")
    assert [(await quotas.take("g", quota)).granted for _ in range(3)] == [True, True, False]
    await quotas.give_back("g")
    assert (await quotas.take("g", quota)).granted


async def test_requests_over_a_used_up_limit_do_not_query_valkey(counters: Counters, url: str) -> None:
    quotas = Quotas(counters)
    assert not all([(await quotas.take("f", Quota(1, 60))).granted for _ in range(2)])
    async with Redis.from_url(url) as redis:
        before = (await redis.info("stats"))["total_commands_processed"]
        for _ in range(100):
            assert not (await quotas.take("f", Quota(1, 60))).granted
        assert (await redis.info("stats"))["total_commands_processed"] - before < 20


async def test_without_valkey_a_process_counts_alone() -> None:
    async with open_counters("") as alone, open_counters("redis://127.0.0.1:1/0") as nobody:
        for counters in (alone, nobody):
            quotas = Quotas(counters)
            assert [(await quotas.take("a", Quota(2, 60))).granted for _ in range(3)] == [True, True, False]
            assert not counters.shared


async def test_a_dead_or_frozen_valkey_causes_neither_an_outage_nor_a_delay() -> None:
    with temporary_state() as state, embedded_valkey(state) as server:
        async with open_counters(server.url) as counters:
            quotas = Quotas(counters)
            assert (await quotas.take("a", Quota(5, 600))).most == 4
            assert counting_mode(counters) == "shared"

            os.kill(server.child.pid, signal.SIGSTOP)
            began = monotonic()
            granted = [await quotas.take(f"h{number}", Quota(5, 600)) for number in range(200)]
            assert all(each.granted for each in granted)
            assert monotonic() - began < 10 * PATIENCE_SECONDS  # the first request waited, the others did not
            assert counting_mode(counters) == "alone"
            os.kill(server.child.pid, signal.SIGCONT)
            await shared(counters)
            assert (await quotas.take("a", Quota(5, 600))).most == 3

            os.kill(server.child.pid, signal.SIGKILL)
            assert (await quotas.take("a", Quota(5, 600))).granted
            assert counting_mode(counters) == "alone"
            server.child.stop()
            server.start()
            await shared(counters)
            assert (await quotas.take("b", Quota(5, 600))).most == 4


async def test_a_full_valkey_is_treated_as_absent(counters: Counters, url: str) -> None:
    async with Redis.from_url(url) as redis:
        await redis.config_set("maxmemory", "1")
        try:
            assert [(await Quotas(counters).take("m", Quota(1, 60))).granted for _ in range(2)] == [True, False]
            assert counting_mode(counters) == "alone"
        finally:
            await redis.config_set("maxmemory", "0")
    await shared(counters)


def counting_mode(counters: Counters) -> str:
    return "shared" if counters.shared else "alone"


async def shared(counters: Counters) -> None:
    """Wait until processes share their counters again."""
    async with asyncio.timeout(20):
        while not counters.shared:  # noqa: ASYNC110 - nothing of ours is told when it is back
            await asyncio.sleep(0.02)


async def test_a_process_notices_without_requests_that_it_counts_alone() -> None:
    with temporary_state() as state, embedded_valkey(state) as server:
        async with open_counters(server.url) as counters:
            server.child.stop()
            async with asyncio.timeout(20):
                while counting_mode(counters) == "shared":  # noqa: ASYNC110 - nothing of ours is told when it goes
                    await asyncio.sleep(0.02)
            server.start()
            await shared(counters)


async def test_readiness_reports_that_limits_are_counted_alone(database: Database, url: str) -> None:
    for limits, expected, number in ((url, "shared", 1.0), ("", "this process alone", 0.0)):
        app = make_app(settings_for(database.app_url, LIMITS_REDIS_URL=limits))
        async with served(app) as address, ClientSession(address) as session:
            async with session.get("/readyz") as answer:
                document = await answer.json()
                assert (answer.status, document["status"], document["limits"]) == (200, "ready", expected)
            async with session.get("/metrics") as answer:
                assert f"counterfoil_limits_shared {number}\n" in await answer.text()


async def test_counters_are_deleted_after_their_time(counters: Counters, url: str) -> None:
    await Quotas(counters).take("a", Quota(5, 60))
    await counters.do(TURN, "b", 1, 1, 1, 100, 1, 60_000)
    async with Redis.from_url(url) as redis:
        keys: list[bytes] = [key async for key in redis.scan_iter()]
        assert {key.decode().removeprefix(PREFIX) for key in keys} - {"watched"} == {"a", "b"}
        for key in keys:
            assert 0 < await redis.pttl(key) <= 60_000


def test_the_memory_of_a_process_alone_is_limited() -> None:
    cells = Cells(most=10)
    for number in range(100):
        assert TAKE.here(cells, f"k{number}", (1, HOUR, 1), 0)[0] == 1
    assert TAKE.here(cells, "k99", (1, HOUR, 1), 0)[0] == 0
    assert TAKE.here(cells, "k0", (1, HOUR, 1), 0)[0] == 1
    fading: ExpiringMap[int, int] = ExpiringMap(10)
    for number in range(100):
        fading.keep(number, number, 60)
    assert (len(fading), fading.get(0), fading.get(99)) == (10, None, 99)
    fading.keep(99, 5, 0)
    assert (fading.get(99), fading.left(99)) == (None, 0.0)


def test_reading_and_returning_take_no_memory() -> None:
    cells = Cells(most=10)
    for number in range(100):
        for step in (NOTED, RETURN, CLEAR, GIVE_BACK):
            step.here(cells, f"k{number}", (1,) if step is GIVE_BACK else (), 0)
        TAKE.here(cells, f"k{number}", (0, HOUR, 1), 0)
        assert len(cells) == 0
        TURN.here(cells, f"t{number}", FAILING, 0)
        RETURN.here(cells, f"t{number}", (), 0)
        TAKE.here(cells, f"q{number}", (5, HOUR, 1), 0)
        GIVE_BACK.here(cells, f"q{number}", (1,), 0)
        assert len(cells) == 0


def test_a_flood_of_failures_evicts_no_wait_no_repeated_failures_and_no_mark() -> None:
    cells = Cells(most=1_000)
    NOTE.here(cells, "home", (HOUR,), 0)
    for now in range(5):
        TURN.here(cells, "waiting", FAILING, now)
    for now in range(4):
        TURN.here(cells, "failing", FAILING, now)
    for number in range(20_000):
        assert TURN.here(cells, f"k{number}", FAILING, 10)[:2] == [1, 1]
        assert len(cells) <= 1_000
    assert NOTED.here(cells, "home", (), 10) == [1]
    assert TURN.here(cells, "waiting", FAILING, 10)[:2] == [0, 5]
    assert TURN.here(cells, "failing", FAILING, 10)[:2] == [1, 5]


def test_ended_counters_are_evicted_before_live_ones() -> None:
    cells = Cells(most=10)
    TURN.here(cells, "lives", FAILING, 0)
    for number in range(9):
        for _ in range(3):
            TAKE.here(cells, f"k{number}", (5, 100, 1), 0)
    for number in range(9):
        TURN.here(cells, f"new{number}", FAILING, 200)
    assert TURN.here(cells, "lives", FAILING, 200)[:2] == [1, 2]


async def test_thousands_of_refused_requests_are_not_counted_and_evict_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Cells.__init__, "__defaults__", (1_000,))
    home, away = ip_address("192.0.2.1"), ip_address("198.51.100.1")
    async with open_counters("") as counters:
        logins = Logins(Quotas(counters), PEPPERS, Attempts(cast("Pool", None)), Quota(10, 600))
        async with logins.turn(NIL, "victim", home) as login:
            login.passed()
        for _ in range(5):
            async with logins.turn(NIL, "victim", away) as login:
                login.failed()
        for number in range(2_000):
            with suppress(RateLimited):
                async with logins.turn(NIL, f"person{number}", home) as login:
                    login.failed()
        with pytest.raises(RateLimited):
            await logins.turn(NIL, "victim", away).__aenter__()
        async with logins.turn(NIL, "victim", home) as login:
            login.passed()  # although other clients used up the attempts of their network


async def test_a_mark_made_in_one_process_is_known_in_all(url: str) -> None:
    async with open_counters(url) as one, open_counters(url) as other:
        here, there = SeenSecrets(one, PEPPERS), SeenSecrets(other, PEPPERS)
        met = [SecretGiven(f"secret {number}") for number in range(600)]
        for each in met:
            here.add(each)
        assert all([await here.knows(each) for each in met])
        assert not await there.knows(met[0])
        await here.flush()
        assert all([await there.knows(each) for each in met])
        assert sum([await there.knows(SecretGiven(f"other {number}")) for number in range(600)]) == 0


async def test_marks_take_constant_memory(url: str) -> None:
    async with open_counters(url) as counters, Redis.from_url(url) as redis:
        seen_secrets = SeenSecrets(counters, PEPPERS)
        for number in range(3_000):
            seen_secrets.add(SecretGiven(str(number)))
        await seen_secrets.flush()
        (key,) = [key async for key in redis.scan_iter(f"{PREFIX}met:*")]
        assert await redis.strlen(key) <= 2**20
        assert 0 < await redis.ttl(key) <= 14 * 86_400


async def test_without_valkey_a_process_knows_its_own_marks() -> None:
    async with open_counters("") as counters, SeenSecrets(counters, PEPPERS) as seen_secrets:
        seen_secrets.add(SecretGiven("met"))
        assert await seen_secrets.knows(SecretGiven("met"))
        assert not await seen_secrets.knows(SecretGiven("never"))
