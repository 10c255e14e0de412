"""The sweep with a real Postgres: each expiry is announced once, by any sweeper, however often and late."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from structlog.testing import capture_logs

from counterfoil.core.subjects.token.commands import Renew, Revoke, Suspend
from counterfoil.core.subjects.user_commands import DisableUser
from counterfoil.door import Door
from counterfoil.postgres import due, last_used
from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.due import OpenAlerts
from counterfoil_dev.postgres import Database
from counterfoil_worker.sweep import PAGE, Sweeper
from worker.token_lifetimes import ACCOUNT, ROOT, born, hired, left, lived_longer, many_born, told, told_of

HOUR = 3600.0


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def a_sweeper(url: str, stack: AsyncExitStack) -> Sweeper:
    """A sweeper with its own pool and door, as in every worker process."""
    pool = await stack.enter_async_context(await open_pool(url, size=2))
    return Sweeper(pool, await stack.enter_async_context(Door(url)), grace_notice_seconds=86_400)


@pytest.fixture
async def sweeper(database: Database, stack: AsyncExitStack) -> Sweeper:
    return await a_sweeper(database.app_url, stack)


async def test_an_expiry_is_announced_once_however_often_it_is_swept(
    database: Database, door: Door, sweeper: Sweeper
) -> None:
    token = await born(door, ends_in=-HOUR)
    assert [await sweeper.work() for _ in range(3)] == [1, 0, 0]
    assert await told_of(database.app_url, token) == ["expired"]


async def test_a_sweep_logs_its_announcements_by_kind(database: Database, door: Door, sweeper: Sweeper) -> None:
    await many_born(door, 3, ends_in=-HOUR)
    for seconds in (60, 60, 3_600):
        await lived_longer(database.app_url, await born(door, ends_in=seconds, thresholds=(seconds,)))
    with capture_logs() as lines:
        assert await sweeper.work() == 6
    (line,) = [line for line in lines if line["event"] == "swept"]
    assert {name: line[name] for name in ("events", "expired", "expiring_1m", "expiring_1h")} == {
        "events": 6, "expired": 3, "expiring_1m": 2, "expiring_1h": 1,
    }  # fmt: skip


async def test_each_threshold_is_announced_once_when_it_is_reached(
    database: Database, door: Door, sweeper: Sweeper
) -> None:
    token = await born(door, ends_in=3.4, thresholds=(2, 1))
    for _ in range(18):
        await sweeper.work()
        await asyncio.sleep(0.2)
    assert await told_of(database.app_url, token) == ["expired", "expiring 1", "expiring 2"]


async def test_of_several_overdue_thresholds_only_the_smallest_is_announced(
    database: Database, door: Door, sweeper: Sweeper
) -> None:
    token = await born(door, ends_in=HOUR - 1, thresholds=(3600, 3599, 60))
    await lived_longer(database.app_url, token)
    assert await sweeper.work() == 1
    assert await told_of(database.app_url, token) == ["expiring 3599"]


async def test_after_a_renewal_the_same_threshold_is_announced_again(
    database: Database, door: Door, sweeper: Sweeper
) -> None:
    token = await born(door, ends_in=60, thresholds=(60,))
    await lived_longer(database.app_url, token)
    assert await sweeper.work() == 1
    await door.execute(Renew(account=ACCOUNT, id=token.id, by=ROOT, lifetime="61s"))
    assert await sweeper.work() == 0
    await asyncio.sleep(1.1)
    assert [await sweeper.work(), await sweeper.work()] == [1, 0]
    assert await told_of(database.app_url, token) == ["expiring 60", "expiring 60", "renewed"]


async def test_suspended_tokens_are_announced_and_revoked_ones_are_not(
    database: Database, door: Door, sweeper: Sweeper
) -> None:
    suspended, revoked = await born(door, ends_in=0.3), await born(door, ends_in=0.3)
    await door.execute(Suspend(account=ACCOUNT, id=suspended.id, by=ROOT))
    await door.execute(Revoke(account=ACCOUNT, id=revoked.id, by=ROOT, reason="done"))
    await asyncio.sleep(0.4)
    await sweeper.work()
    assert await told_of(database.app_url, suspended) == ["expired", "suspended"]
    assert await told_of(database.app_url, revoked) == ["revoked"]


async def test_the_system_acts_within_the_tokens_account(database: Database, door: Door, sweeper: Sweeper) -> None:
    token = await born(door, ends_in=-HOUR)
    await sweeper.work()
    connection = await asyncpg.connect(database.app_url)
    by = await connection.fetchval(
        "select (entry::json)->>'by' from event where type = 'expired' and (account_id, subject_id) = ($1, $2)",
        ACCOUNT, token.id,
    )  # fmt: skip
    await connection.close()
    assert "system" in by


async def test_two_simultaneous_sweepers_announce_each_of_2000_expiries_once(
    database: Database, door: Door, stack: AsyncExitStack
) -> None:
    tokens = await many_born(door, 2_000, ends_in=-HOUR)
    sweepers = [await a_sweeper(database.app_url, stack) for _ in range(2)]
    while sum(await asyncio.gather(*(sweeper.work() for sweeper in sweepers))):
        pass
    expired = await told(database.app_url)
    assert [expired[token.id, "expired"] for token in tokens] == [1] * 2_000


async def test_a_second_call_leaves_the_work_to_the_running_sweep(door: Door, sweeper: Sweeper) -> None:
    await many_born(door, PAGE + 1, ends_in=-HOUR)
    assert sorted(await asyncio.gather(*(sweeper.work() for _ in range(3)))) == [0, 0, PAGE + 1]


async def test_one_failing_token_stops_no_other_and_is_skipped_for_a_while(
    database: Database, door: Door, sweeper: Sweeper
) -> None:
    bad, *good = await many_born(door, 40, ends_in=-HOUR)
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute("update token set thresholds = 'spoilt' where token_id = $1", bad.id)
    await connection.close()
    with capture_logs() as lines:
        assert [await sweeper.work() for _ in range(3)] == [39, 0, 0]
    complaints = [line for line in lines if line["event"] == "token_not_swept"]
    assert [line["token_id"] for line in complaints] == [bad.id]
    assert {(await told(database.app_url))[token.id, "expired"] for token in good} == {1}


async def test_a_row_held_by_another_transaction_is_swept_when_it_is_free(
    database: Database, door: Door, sweeper: Sweeper
) -> None:
    held, free = await born(door, ends_in=-HOUR), await born(door, ends_in=-HOUR)
    other = await asyncpg.connect(database.owner_url)
    async with other.transaction():
        await other.execute("select from token where token_id = $1 for update", held.id)
        assert await sweeper.work() == 1
    await other.close()
    assert await sweeper.work() == 1
    assert (await told(database.app_url))[free.id, "expired"] == 1


async def test_a_stopping_sweep_leaves_the_rest_for_the_next(
    database: Database, door: Door, sweeper: Sweeper, stack: AsyncExitStack
) -> None:
    await many_born(door, 3 * PAGE, ends_in=-HOUR)
    sweeping = asyncio.create_task(sweeper.work())
    await asyncio.sleep(0)
    sweeper.stop()
    said = await sweeping
    assert said < 3 * PAGE
    assert said + await (await a_sweeper(database.app_url, stack)).work() == 3 * PAGE


async def test_without_a_database_the_sweep_is_postponed(stack: AsyncExitStack) -> None:
    sweeper = await a_sweeper("postgresql://nobody@/nothing?host=/nonexistent", stack)
    with capture_logs() as lines:
        assert await sweeper.work() == 0
    assert [line["event"] for line in lines] == ["work_postponed"]


async def test_the_lag_is_that_of_the_most_overdue_token(
    database: Database, door: Door, sweeper: Sweeper, stack: AsyncExitStack
) -> None:
    pool = await stack.enter_async_context(await open_pool(database.app_url, size=1))
    assert await due.lag_seconds(pool) == 0
    await born(door, ends_in=HOUR)
    assert await due.lag_seconds(pool) == 0
    await born(door, ends_in=-5)
    await born(door, ends_in=-100)
    assert await due.lag_seconds(pool) == pytest.approx(100, abs=3)
    await sweeper.work()
    assert await due.lag_seconds(pool) == 0


async def test_active_tokens_are_counted_by_their_time_to_expiry(
    database: Database, door: Door, stack: AsyncExitStack
) -> None:
    day = 24 * HOUR
    for days in (-1, 0.5, 0.9, 3, 20, 80, 100):
        await born(door, ends_in=days * day)
    suspended = await born(door, ends_in=day / 2)
    await door.execute(Suspend(account=ACCOUNT, id=suspended.id, by=ROOT))
    eternal = await born(door, ends_in=day)
    await door.execute(Renew(account=ACCOUNT, id=eternal.id, by=ROOT, lifetime="forever"))
    pool = await stack.enter_async_context(await open_pool(database.app_url, size=1))
    assert await due.expiring(pool) == {"1d": 2, "7d": 1, "30d": 1, "90d": 1, "later": 1, "never": 1}


async def test_open_alerts_are_counted_by_notice_and_by_recent_use(
    database: Database, door: Door, sweeper: Sweeper, stack: AsyncExitStack
) -> None:
    pool = await stack.enter_async_context(await open_pool(database.app_url, size=1))
    spans = ("expired", "1d", "7d", "30d", "90d", "later")
    none = {OpenAlerts(notice, used, 0) for notice in spans for used in (False, True)}
    assert set(await due.open_alerts(pool)) == none
    day = 24 * HOUR
    leaving = await hired(door)
    for notice in (HOUR, day, day + 1, 30 * day, 90 * day, 90 * day + 1):
        await lived_longer(database.app_url, await born(door, ends_in=notice - 60, thresholds=(int(notice),)))
    used = [await born(door, ends_in=-1), await born(door, ends_in=60, thresholds=(60,))]
    await lived_longer(database.app_url, used[1])
    unused, revoked = await born(door, ends_in=-5), await born(door, ends_in=-5)
    await born(door, ends_in=-5, owner=leaving)
    await born(door, ends_in=-31 * day)
    await born(door, ends_in=HOUR)
    today = datetime.now(UTC)
    old = today - timedelta(days=8)
    await last_used.add(pool, [(ACCOUNT, each.id, today.date(), 1, 3, today) for each in used])
    await last_used.add(pool, [(ACCOUNT, revoked.id, today.date(), 1, 1, today)])
    await last_used.add(pool, [(ACCOUNT, unused.id, old.date(), 1, 1, old)])
    await sweeper.work()
    await door.execute(Revoke(account=ACCOUNT, id=revoked.id, by=ROOT, reason="done"))
    await left(door, leaving)
    counts = {(each.notice, each.used): each.count for each in await due.open_alerts(pool) if each.count}
    assert counts == {
        ("expired", False): 1, ("expired", True): 1, ("1d", False): 2, ("1d", True): 1, ("7d", False): 1,
        ("30d", False): 1, ("90d", False): 1, ("later", False): 1,
    }  # fmt: skip


async def test_the_expiry_of_a_removed_users_token_is_not_announced(
    database: Database, door: Door, sweeper: Sweeper, stack: AsyncExitStack
) -> None:
    owner = await hired(door)
    near = await born(door, ends_in=60, thresholds=(60,), owner=owner)
    await lived_longer(database.app_url, near)
    over, said = await born(door, ends_in=-1, owner=owner), await born(door, ends_in=-1)
    await left(door, owner)
    assert await sweeper.work() == 3
    assert [await told_of(database.app_url, each) for each in (near, over, said)] == [["revoked"]] * 2 + [["expired"]]
    pool = await stack.enter_async_context(await open_pool(database.app_url, size=1))
    assert (await sweeper.work(), await due.lag_seconds(pool)) == (0, 0)


async def test_the_expiry_of_a_disabled_users_token_is_announced(
    database: Database, door: Door, sweeper: Sweeper
) -> None:
    owner = await hired(door)
    token = await born(door, ends_in=-1, owner=owner)
    await left(door, owner, DisableUser)
    assert await sweeper.work() == 1
    assert await told_of(database.app_url, token) == ["expired"]


async def test_a_removed_users_tokens_are_not_counted_as_active(
    database: Database, door: Door, stack: AsyncExitStack
) -> None:
    pool = await stack.enter_async_context(await open_pool(database.app_url, size=1))
    removed, disabled = await hired(door), await hired(door)
    for owner in (removed, disabled):
        await born(door, ends_in=HOUR, owner=owner)
    assert (await due.expiring(pool))["1d"] == 2
    await left(door, disabled, DisableUser)
    await left(door, removed)
    assert (await due.expiring(pool))["1d"] == 1
