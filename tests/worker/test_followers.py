"""Followers of the log in real workers: every event once and in order, through kills, failures and concurrency."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from counterfoil.core.events import Fact, Subject
from counterfoil.core.principal import SYSTEM
from counterfoil.core.subjects.token.events import Resumed
from counterfoil.door import Door
from counterfoil.postgres.connection import Connection, Pool, open_pool
from counterfoil.postgres.followers import LoggedEvent, Transaction, follower_states
from counterfoil.uses.follower import Follower, PositionOutOfOrder, refuse_disorder
from counterfoil_dev.postgres import Database, Postgres
from counterfoil_dev.valkey import Valkey
from counterfoil_worker import followers as running_followers
from counterfoil_worker.followers import Followers
from postgres.sealing import seal_all, sealed_beside
from worker.counting import SCRIPT, counted, counting, handled, make_tables
from worker.token_lifetimes import ACCOUNT, cut_everybody, many_born
from worker.workers import running

FACT = Fact(
    account=ACCOUNT, subject=Subject("token", UUID(int=1)), version=1, type="resumed", by=SYSTEM.actor, event=Resumed(),
    at=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    await make_tables(database)
    async with await open_pool(database.app_url, size=4) as pool:
        yield pool


async def positions(pool: Pool) -> dict[str, int]:
    return {each.name: each.position for each in await follower_states(pool)}


async def until_handled(pool: Pool, position: int, *, name: str = "counting", seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while (await positions(pool)).get(name, 0) < position:  # noqa: ASYNC110 - another process's work
            await asyncio.sleep(0.02)


async def remove_from_the_log(owner: Connection, position: int) -> None:
    """Delete from the log, which the database normally refuses."""
    await owner.execute("alter table sealed disable trigger sealed_is_append_only")
    await owner.execute("delete from sealed where pos = $1", position)
    await owner.execute("alter table sealed enable always trigger sealed_is_append_only")


def said(lines: Sequence[object], event: str) -> list[dict[str, object]]:
    return [line for line in lines if isinstance(line, dict) and line["event"] == event]


async def test_every_event_is_handled_once_and_in_order(database: Database, door: Door, pool: Pool) -> None:
    await many_born(door, 120, ends_in=3_600)
    size = await seal_all(database.app_url)
    followers = Followers(pool, [counting()])
    assert [await followers.work() for _ in range(2)] == [size, 0]
    assert await handled(database) == list(range(1, size + 1))
    assert await counted(database) == {ACCOUNT: size}
    await many_born(door, 7, ends_in=3_600)
    assert await followers.work() == 0  # unsealed events are not there yet
    await seal_all(database.app_url)
    assert await followers.work() == 7
    assert await handled(database) == list(range(1, size + 8))


async def test_a_worker_killed_before_the_commit_of_a_batch_leaves_no_trace_of_it(
    database: Database, valkey: Valkey, door: Door, pool: Pool, tmp_path: Path
) -> None:
    await many_born(door, 130, ends_in=3_600)
    size = await seal_all(database.app_url)
    with running(database.app_url, valkey.url, tmp_path / "killed", script=SCRIPT, COUNTING_PAUSE="30") as worker:
        worker.wait_until_said("applied")
        worker.kill()
    assert (await handled(database), await positions(pool)) == ([], {"counting": 0})
    with running(database.app_url, valkey.url, tmp_path / "next", script=SCRIPT) as worker:
        await until_handled(pool, size)
        assert worker.stop() == 0
    assert await handled(database) == list(range(1, size + 1))
    assert await counted(database) == {ACCOUNT: size}


async def test_two_workers_killed_again_and_again_handle_a_growing_log_once(
    database: Database, valkey: Valkey, door: Door, pool: Pool, tmp_path: Path
) -> None:
    async def write() -> None:
        for _ in range(8):
            await many_born(door, 150, ends_in=3_600)
            await asyncio.sleep(0.5)

    async with sealed_beside(database.app_url):
        writing = asyncio.create_task(write())
        for turn in range(3):
            with ExitStack() as stack:
                logs = [tmp_path / f"{name}{turn}" for name in "ab"]
                each = [
                    running(database.app_url, valkey.url, log, script=SCRIPT, COUNTING_PAUSE="0.05") for log in logs
                ]
                workers = [stack.enter_context(worker) for worker in each]
                before = (await positions(pool)).get("counting", 0)
                await until_handled(pool, before + 1)
                for worker in workers:
                    worker.kill()
        with ExitStack() as stack:
            for name in "ab":
                stack.enter_context(running(database.app_url, valkey.url, tmp_path / name, script=SCRIPT))
            await writing
            size = await seal_all(database.app_url)
            await until_handled(pool, size)
    assert size == 8 * 150
    assert await handled(database) == list(range(1, size + 1))
    assert await counted(database) == {ACCOUNT: size}


async def test_concurrent_runners_never_handle_one_batch_twice(database: Database, door: Door, pool: Pool) -> None:
    await many_born(door, 300, ends_in=3_600)
    size = await seal_all(database.app_url)
    runners = [Followers(pool, [counting(batch_size=10)]) for _ in range(4)]
    while (await positions(pool)).get("counting", 0) < size:
        await asyncio.gather(*(runner.work() for runner in runners))
    assert await handled(database) == list(range(1, size + 1))


@pytest.mark.parametrize("missing", [1, 60, 120])
async def test_a_follower_refuses_a_gap_and_the_others_go_on(
    database: Database, door: Door, pool: Pool, owner: Connection, missing: int
) -> None:
    await many_born(door, 125, ends_in=3_600)
    assert await seal_all(database.app_url) == 125
    await remove_from_the_log(owner, missing)
    await owner.execute("insert into follower (name, position) values ('ahead', 120)")
    followers = Followers(pool, [counting(), counting("ahead")])
    with capture_logs() as lines:
        done = [await followers.work() for _ in range(3)]
    kept = (missing - 1) // 50 * 50  # whole batches before the gap
    assert sum(done) == kept + 5
    assert await positions(pool) == {"counting": kept, "ahead": 125}
    assert await handled(database) == list(range(1, kept + 1))
    (complaint,) = said(lines, "follower_out_of_order")
    assert (complaint["log_level"], complaint["follower"]) == ("critical", "counting")
    assert f"expects the log to go on at position {missing}" in str(complaint["error"])


async def test_a_follower_refuses_a_log_shorter_than_what_it_has_handled(
    database: Database, door: Door, pool: Pool, owner: Connection
) -> None:
    """A database that was restored to an earlier time."""
    await many_born(door, 10, ends_in=3_600)
    await seal_all(database.app_url)
    await owner.execute("insert into follower (name, position) values ('counting', 17)")
    with capture_logs() as lines:
        assert await Followers(pool, [counting()]).work() == 0
    assert (await positions(pool), await handled(database)) == ({"counting": 17}, [])
    (complaint,) = said(lines, "follower_out_of_order")
    assert "at position 18; it has 10 events and none there" in str(complaint["error"])
    assert [each.status for each in await follower_states(pool)] == ["beyond the log"]


async def test_a_failed_batch_is_retried_later_and_stops_no_other_follower(
    database: Database, door: Door, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_followers, "_FIRST_REST_SECONDS", 0.05)
    failures = 0
    good = counting("failing", batch_size=10)

    async def apply(connection: Transaction, batch: Sequence[LoggedEvent]) -> None:
        nonlocal failures
        await good.apply(connection, batch)
        if batch[0].position == 21 and failures < 3:
            failures += 1
            raise ValueError("not today")

    await many_born(door, 60, ends_in=3_600)
    size = await seal_all(database.app_url)
    followers = Followers(pool, [Follower(name="failing", apply=apply, batch_size=10), counting()])
    with capture_logs() as lines:
        assert await followers.work() == 20 + size
        assert (await positions(pool), failures) == ({"failing": 20, "counting": size}, 1)
        async with asyncio.timeout(20):
            while (await positions(pool))["failing"] < size:
                await followers.work()
                await asyncio.sleep(0.01)
    assert failures == 3
    assert await handled(database, "failing") == await handled(database) == list(range(1, size + 1))
    (complaint,) = said(lines, "follower_failed")
    assert (complaint["log_level"], complaint["follower"]) == ("error", "failing")
    assert len(said(lines, "follower_goes_on")) == 1


async def test_a_failing_follower_is_retried_at_growing_intervals(
    database: Database, door: Door, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterfoil_worker.followers._FIRST_REST_SECONDS", 60.0)  # the machine may be busy
    asked = 0

    async def apply(_: Transaction, __: Sequence[LoggedEvent]) -> None:
        nonlocal asked
        asked += 1
        raise ValueError("never")

    await many_born(door, 3, ends_in=3_600)
    await seal_all(database.app_url)
    followers = Followers(pool, [Follower(name="failing", apply=apply)])
    for _ in range(10):
        await followers.work()
    assert asked == 1


async def test_a_new_follower_begins_at_the_first_event_or_at_the_present(
    database: Database, door: Door, pool: Pool
) -> None:
    await many_born(door, 5, ends_in=3_600)
    await seal_all(database.app_url)
    followers = Followers(pool, [counting(), counting("late", from_now=True)])
    assert await followers.work() == 5
    assert await positions(pool) == {"counting": 5, "late": 5}
    await many_born(door, 2, ends_in=3_600)
    await seal_all(database.app_url)
    await followers.work()
    assert (await handled(database), await handled(database, "late")) == ([1, 2, 3, 4, 5, 6, 7], [6, 7])


async def test_stopping_ends_the_work_after_the_current_batch(database: Database, door: Door, pool: Pool) -> None:
    await many_born(door, 40, ends_in=3_600)
    await seal_all(database.app_url)
    good = counting(batch_size=10)

    async def apply(connection: Transaction, batch: Sequence[LoggedEvent]) -> None:
        await good.apply(connection, batch)
        followers.stop()

    followers = Followers(pool, [Follower(name="counting", apply=apply, batch_size=10)])
    assert await followers.work() == 10
    assert await followers.work() == 0
    assert await positions(pool) == {"counting": 10}


async def test_one_call_works_no_longer_than_its_shift(
    database: Database, door: Door, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Followers, "seconds", 0.0)
    await many_born(door, 5, ends_in=3_600)
    await seal_all(database.app_url)
    assert await Followers(pool, [counting()]).work() == 0
    monkeypatch.setattr(Followers, "seconds", 5.0)
    assert await Followers(pool, [counting()]).work() == 5


async def test_a_lost_database_is_no_error_and_loses_nothing(
    postgres_server: Postgres, database: Database, door: Door, pool: Pool
) -> None:
    await many_born(door, 100, ends_in=3_600)
    size = await seal_all(database.app_url)
    good, cuts = counting(batch_size=10), 0

    async def apply(connection: Transaction, batch: Sequence[LoggedEvent]) -> None:
        nonlocal cuts
        await good.apply(connection, batch)
        if batch[0].position == 31 and not cuts:
            cuts += 1
            await asyncio.to_thread(cut_everybody, postgres_server, database)

    followers = Followers(pool, [Follower(name="counting", apply=apply, batch_size=10)])
    async with asyncio.timeout(30):
        while (await positions(pool)).get("counting", 0) < size:
            await followers.work()
            await asyncio.sleep(0.05)
    assert cuts == 1
    assert await handled(database) == list(range(1, size + 1))


async def test_two_followers_of_one_name_are_refused(pool: Pool) -> None:
    with pytest.raises(ValueError, match="same name"):
        Followers(pool, [counting(), counting()])


@pytest.mark.parametrize(
    ("position", "found", "head", "expected"),
    [
        (0, [], 0, None),
        (0, [1, 2, 3], 3, None),
        (7, [8, 9, 10], 20, None),
        (7, [8], 8, None),
        (7, [9, 10], 20, 8),
        (7, [8, 10], 20, 9),
        (7, [8, 9], 20, 10),
        (7, [], 20, 8),
        (7, [], 6, 8),
    ],
)
def test_positions_are_consecutive_up_to_the_batch_size_or_the_head(
    position: int, found: list[int], head: int, expected: int | None
) -> None:
    follower = counting(batch_size=3)
    batch = [LoggedEvent(each, FACT) for each in found]
    if expected is None:
        refuse_disorder(follower, position, batch, head)
        return
    with pytest.raises(PositionOutOfOrder) as refused:
        refuse_disorder(follower, position, batch, head)
    assert refused.value.expected == expected
