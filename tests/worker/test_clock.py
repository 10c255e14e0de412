"""The clock's lead, and what its calls carry."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec
import pytest
import redis
from structlog.testing import capture_logs

from counterfoil.postgres import leader
from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.leader import Lead, is_led
from counterfoil.settings import Settings
from counterfoil_dev.postgres import Database, Postgres
from counterfoil_dev.valkey import Valkey
from counterfoil_worker.actors import JOBS, declare
from counterfoil_worker.broker import QUEUE, OncePerMinute, broker_of
from counterfoil_worker.clock import Call, Clock
from counterfoil_worker.followers import follower_jobs
from worker.counting import counting
from worker.token_lifetimes import cut_everybody

SETTINGS = Settings.from_environment(
    {
        "DATABASE_URL": "postgresql://nobody@/nothing",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PEPPERS": "1:" + "cGVwcGVy" * 6,
        "KEY_ENCRYPTION_KEY": "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=",
    },
    command="worker",
)


async def held_within(lead: Lead, seconds: float) -> bool:
    """Whether the lead is taken within this time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not await lead.held():  # noqa: ASYNC110 - another session's lock
                await asyncio.sleep(0.05)
            return True
    return False


@pytest.fixture
async def first(database: Database) -> AsyncIterator[Lead]:
    async with Lead(database.app_url, "clock") as lead:
        assert await lead.held()
        yield lead


async def test_one_process_leads_at_a_time(database: Database, first: Lead) -> None:
    async with Lead(database.app_url, "clock") as second:
        assert [await second.held(), await first.held(), await second.held()] == [False, True, False]


async def test_anybody_sees_whether_a_lead_is_held(database: Database, postgres_server: Postgres) -> None:
    async with await open_pool(database.app_url, size=1) as pool:
        assert not await is_led(pool, "clock")
        async with Lead(database.app_url, "clock") as lead, Lead(database.app_url, "clock") as second:
            assert [await lead.held(), await second.held()] == [True, False]
            assert [await is_led(pool, name) for name in ("clock", "sealer")] == [True, False]
            async with await open_pool(postgres_server.database("postgres").app_url, size=1) as elsewhere:
                assert not await is_led(elsewhere, "clock"), "the lock of another database"
        assert not await is_led(pool, "clock")


async def test_leads_of_different_names_are_independent(database: Database, first: Lead) -> None:
    async with Lead(database.app_url, "sealer") as other:
        assert await other.held()
        assert await first.held()


@pytest.mark.parametrize("name", ["", "eightful"])
def test_the_name_of_a_lead_fits_the_number_of_its_lock(name: str) -> None:
    with pytest.raises(ValueError, match=f"1 to 7 letters, such as 'clock'; '{name}' has"):
        Lead("postgresql://nobody@/nothing", name)


async def test_a_leader_that_leaves_hands_the_lead_over(database: Database) -> None:
    async with Lead(database.app_url, "clock") as second:
        async with Lead(database.app_url, "clock") as first:
            assert await first.held()
            assert not await second.held()
        assert await held_within(second, 1)


async def test_a_leader_loses_the_lead_with_its_connection(
    postgres_server: Postgres, database: Database, first: Lead
) -> None:
    cut_everybody(postgres_server, database)
    assert not await first.held()
    async with Lead(database.app_url, "clock") as second:
        assert await held_within(second, 1)
        assert not await first.held()


async def test_the_server_deposes_a_silent_leader(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "_SILENCE_SECONDS", 1)
    async with Lead(database.app_url, "clock") as hung, Lead(database.app_url, "clock") as next_one:
        assert await hung.held()
        assert await held_within(next_one, 5)
        assert not await hung.held()


async def test_without_a_database_nobody_leads_and_it_is_logged_once() -> None:
    async with Lead("postgresql://nobody@/nothing?host=/nonexistent", "clock") as lead:
        with capture_logs() as lines:
            assert [await lead.held() for _ in range(3)] == [False, False, False]
    assert [line["event"] for line in lines] == ["lead_unknown"]


async def test_a_call_that_fails_without_redis_stops_neither_the_clock_nor_other_calls(database: Database) -> None:
    worked: list[str] = []

    def away() -> None:
        raise redis.ConnectionError

    async def fail() -> None:
        worked.append("failed")
        raise RuntimeError

    async def succeed() -> None:
        worked.append("done")

    calls = [
        Call(name="bad", every_seconds=0.05, send=away, work=fail),
        Call(name="good", every_seconds=0.05, send=away, work=succeed),
    ]
    with capture_logs() as lines:
        ticking = asyncio.create_task(Clock(database.app_url, calls).run())
        await asyncio.sleep(0.5)
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking
    assert worked.count("done") > 2
    assert worked.count("failed") > 2
    assert [line["event"] for line in lines].count("redis_away") == 1


async def nothing(_: str) -> None: ...


def test_calls_have_no_arguments(valkey: Valkey) -> None:
    broker = broker_of(valkey.url)
    broker.flush(QUEUE)
    for call in declare(broker, JOBS, SETTINGS, nothing):
        call.send()
    client = redis.Redis.from_url(valkey.url)
    messages = [msgspec.json.decode(message) for message in client.hvals(f"counterfoil:{QUEUE}.msgs")]
    client.close()
    broker.flush(QUEUE)
    broker.client.close()
    assert {message["actor_name"] for message in messages} == {job.name for job in JOBS}
    assert all(message["args"] == [] and message["kwargs"] == {} for message in messages)


def test_each_job_has_a_call_at_its_interval(valkey: Valkey) -> None:
    broker = broker_of(valkey.url)
    calls = declare(broker, JOBS, SETTINGS, nothing)
    broker.client.close()
    assert {call.name: call.every_seconds for call in calls} == {
        "sweep": SETTINGS.sweep_interval_seconds, "forget": 60, "revoke": 1, "follow": 1, "deliver": 1
    }  # fmt: skip


def test_all_followers_are_one_job_and_without_followers_there_is_none() -> None:
    assert follower_jobs([]) == ()
    assert [job.name for job in follower_jobs([counting(), counting("other")])] == ["follow"]


def test_a_consumer_logs_the_loss_of_redis_once_a_minute_without_a_traceback() -> None:
    complaint = "Consumer encountered an unexpected error."
    hung = redis.TimeoutError("timed out")
    records = [
        logging.makeLogRecord({"msg": complaint, "levelno": logging.CRITICAL, "exc_info": (type(hung), hung, None)}),
        logging.makeLogRecord({"msg": "Restarting consumer in 3.00 seconds.", "levelno": logging.INFO}),
        logging.makeLogRecord({"msg": complaint, "levelno": logging.CRITICAL}),
    ]
    once = OncePerMinute()
    said = [record for record in records if once.filter(record)]
    assert [(record.getMessage(), record.exc_info) for record in said] == [(f"{complaint} timed out", None)]
