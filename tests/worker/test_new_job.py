"""A new job is one module and one line: `greeting.py` runs in real workers, and no other file names it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from counterfoil.door import Door
from counterfoil.postgres.connection import Connection, Pool
from counterfoil_dev.postgres import APPLICATION, Database
from counterfoil_dev.valkey import Valkey
from counterfoil_worker.broker import QUEUE, broker_of
from worker.greeting import SCRIPT, Greeter
from worker.workers import running


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Connection]:
    """A connection to a database with five guests."""
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(
        f"""
        create table guest (name text primary key, greeted integer not null default 0);
        insert into guest (name) select 'guest ' || n from generate_series(1, 5) n;
        grant select, update on guest to {APPLICATION}"""
    )
    yield owner
    await owner.close()


async def greeted(owner: Connection) -> list[int]:
    return [row["greeted"] for row in await owner.fetch("select greeted from guest order by name")]


@pytest.mark.parametrize("redis", ["with", "without"])
async def test_two_workers_do_a_new_job_exactly_once(
    database: Database, valkey: Valkey, owner: Connection, tmp_path: Path, redis: str
) -> None:
    url = valkey.url if redis == "with" else valkey.url.replace("valkey.sock", "nobody.sock")
    with (
        running(database.app_url, url, tmp_path / "a", script=SCRIPT) as one,
        running(database.app_url, url, tmp_path / "b", script=SCRIPT) as other,
    ):
        async with asyncio.timeout(30):
            while 0 in await greeted(owner):  # noqa: ASYNC110 - the work of other processes
                await asyncio.sleep(0.05)
        for worker in (one, other):
            worker.wait_until_said("worker_started")
        assert [one.stop(), other.stop()] == [0, 0]
        assert one.said("greeted") + other.said("greeted") == 5
    assert await greeted(owner) == [1] * 5
    broker = broker_of(valkey.url)
    broker.flush(QUEUE)  # workers of other tests would not know the call
    broker.client.close()


async def test_a_shift_runs_until_nothing_is_left_and_no_second_one_joins_it(
    database: Database, pool: Pool, owner: Connection
) -> None:
    async with Door(database.app_url) as door:
        greeter = Greeter(pool, door)
        assert sorted(await asyncio.gather(greeter.work(), greeter.work())) == [0, 5]
    assert await greeted(owner) == [1] * 5


@pytest.mark.usefixtures("owner")
async def test_a_stopping_job_begins_nothing(database: Database, pool: Pool) -> None:
    async with Door(database.app_url) as door:
        greeter = Greeter(pool, door)
        greeter.stop()
        assert await greeter.work() == 0


async def test_a_lost_database_postpones_the_work_and_is_logged_once(
    pool: Pool, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeter = Greeter(pool, None)  # type: ignore[arg-type] # this job needs no door

    async def away(*_: object) -> int:
        raise ConnectionRefusedError

    with monkeypatch.context() as patch, capture_logs() as lines:
        patch.setattr(Greeter, "_round", away)
        assert [await greeter.work() for _ in range(3)] == [0, 0, 0]
    assert [(line["event"], line.get("job")) for line in lines] == [("work_postponed", "greet")]
    assert await greeter.work() == 5
    assert await greeted(owner) == [1] * 5
