"""Worker processes with real Postgres and Valkey: woken, killed, restarted, without Redis, and several at once."""

import asyncio
import signal
from contextlib import ExitStack
from pathlib import Path

import asyncpg

from counterfoil.core.subjects.token.state import Token
from counterfoil.door import Door
from counterfoil_dev.postgres import APPLICATION, Database, Postgres
from counterfoil_dev.valkey import Valkey
from worker.token_lifetimes import ACCOUNT, born, cut_everybody, many_born, told, told_of
from worker.workers import running, wait_until


async def expiries(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        counted: int = await connection.fetchval("select count(*) from event where type = 'expired'")
    finally:
        await connection.close()
    return counted


async def until_expired(url: str, count: int, *, seconds: float = 15) -> None:
    """Return once at least this many expiries have been announced."""
    async with asyncio.timeout(seconds):
        while await expiries(url) < count:  # noqa: ASYNC110 - another process's work
            await asyncio.sleep(0.01)


async def each_said_once(url: str, tokens: list[Token]) -> bool:
    said = await told(url)
    return all(said[token.id, "expired"] == 1 for token in tokens)


async def test_a_worker_announces_expiries_as_they_come_and_stops_cleanly(
    database: Database, valkey: Valkey, door: Door, tmp_path: Path
) -> None:
    with running(database.app_url, valkey.url, tmp_path / "log") as worker:
        worker.wait_until_said("worker_started")
        token = await born(door, ends_in=0.5)
        await until_expired(database.app_url, 1)
        assert await told_of(database.app_url, token) == ["expired"]
        assert worker.stop() == 0
        assert worker.said("worker_stopped") == 1
        assert [line for line in worker.lines if line["level"] != "info"] == []


async def test_2000_simultaneous_expiries_are_each_announced_once_by_two_workers(
    database: Database, valkey: Valkey, door: Door, tmp_path: Path
) -> None:
    tokens = await many_born(door, 2_000, ends_in=1.5)
    with ExitStack() as stack:
        for name in "ab":
            stack.enter_context(running(database.app_url, valkey.url, tmp_path / name))
        await until_expired(database.app_url, 2_000)
        await asyncio.sleep(1)  # time for a possible second announcement
    assert await each_said_once(database.app_url, tokens)


async def test_a_worker_killed_during_a_sweep_omits_and_repeats_no_announcement(
    database: Database, valkey: Valkey, door: Door, tmp_path: Path
) -> None:
    tokens = await many_born(door, 3_000, ends_in=-60)
    with running(database.app_url, valkey.url, tmp_path / "killed") as worker:
        await until_expired(database.app_url, 1)
        worker.kill()
    assert 0 < await expiries(database.app_url) < 3_000
    with running(database.app_url, valkey.url, tmp_path / "next"):
        await until_expired(database.app_url, 3_000)
    assert await each_said_once(database.app_url, tokens)


async def test_without_redis_the_leader_sweeps_and_logs_it_once(
    database: Database, valkey: Valkey, door: Door, tmp_path: Path
) -> None:
    with running(database.app_url, valkey.url, tmp_path / "log") as worker:
        worker.wait_until_said("lead_taken")
        valkey.child.kill()
        try:
            token = await born(door, ends_in=0.5)
            worker.wait_until_said("redis_away")
            await until_expired(database.app_url, 1)
            await asyncio.sleep(1)
        finally:
            valkey.start()
        worker.wait_until_said("redis_back")
        assert (worker.said("redis_away"), worker.said("work_failed")) == (1, 0)
        other = await born(door, ends_in=0.2)
        await until_expired(database.app_url, 2)
        assert worker.stop() == 0
    assert await each_said_once(database.app_url, [token, other])


async def test_a_worker_that_starts_and_stops_without_redis_sweeps_meanwhile(
    database: Database, valkey: Valkey, door: Door, tmp_path: Path
) -> None:
    await born(door, ends_in=-60)
    nowhere = valkey.url.replace("valkey.sock", "nobody.sock")
    with running(database.app_url, nowhere, tmp_path / "log") as worker:
        await until_expired(database.app_url, 1)
        assert worker.stop() == 0


async def test_when_the_leader_dies_another_worker_leads_within_seconds(
    database: Database, valkey: Valkey, door: Door, tmp_path: Path
) -> None:
    with (
        running(database.app_url, valkey.url, tmp_path / "first") as first,
        running(database.app_url, valkey.url, tmp_path / "second") as second,
    ):
        wait_until(lambda: first.said("lead_taken") + second.said("lead_taken"))
        leader, follower = (first, second) if first.said("lead_taken") else (second, first)
        follower.wait_until_said("worker_started")
        assert follower.said("lead_taken") == 0
        leader.kill()
        follower.wait_until_said("lead_taken", seconds=5)
        await born(door, ends_in=-60)
        await until_expired(database.app_url, 1)


async def test_a_worker_survives_a_restart_of_its_database(
    postgres_server: Postgres, database: Database, valkey: Valkey, door: Door, tmp_path: Path
) -> None:
    with running(database.app_url, valkey.url, tmp_path / "log") as worker:
        worker.wait_until_said("lead_taken")
        token = await born(door, ends_in=1)
        cut_everybody(postgres_server, database)
        worker.wait_until_said("lead_taken", times=2)
        await until_expired(database.app_url, 1)
        assert worker.stop() == 0
    assert await told_of(database.app_url, token) == ["expired"]


def test_a_worker_that_cannot_start_exits(valkey: Valkey, tmp_path: Path) -> None:
    with running("postgresql://app@/x?sslmode=nonsense", valkey.url, tmp_path / "log") as worker:
        assert worker.process.wait(15) == 1


async def test_a_second_signal_does_not_interrupt_a_stopping_worker(
    database: Database, valkey: Valkey, door: Door, tmp_path: Path
) -> None:
    await many_born(door, 1_500, ends_in=-60)
    with running(database.app_url, valkey.url, tmp_path / "log") as worker:
        await until_expired(database.app_url, 1)
        worker.process.send_signal(signal.SIGTERM)
        worker.process.send_signal(signal.SIGINT)
        assert worker.process.wait(15) == 0


async def test_idempotency_replies_are_deleted(database: Database, valkey: Valkey, tmp_path: Path) -> None:
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(
        """
        insert into idempotency_key (account_id, key_digest, body_digest, reply, holds_secret, at)
        select $1, name::bytea, 'b', 'r', holds_secret, clock_timestamp() - age::interval
          from (values ('new secret', true, '9 min'), ('old secret', true, '11 min'),
                       ('new', false, '23 h'), ('old', false, '25 h')) as x(name, holds_secret, age)""",
        ACCOUNT,
    )
    with running(database.app_url, valkey.url, tmp_path / "log") as worker:
        worker.wait_until_said("forgot")
    left = await owner.fetch("select key_digest, reply from idempotency_key order by key_digest")
    await owner.close()
    assert [tuple(row) for row in left] == [(b"new", b"r"), (b"new secret", b"r"), (b"old secret", None)]


async def test_old_attempts_are_deleted(database: Database, valkey: Valkey, tmp_path: Path) -> None:
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(
        """
        insert into attempt (account_id, minute, kind, subject_id, network, count, last_at)
        select $1, date_trunc('minute', now() - age::interval), kind, $1, 'unix', 1, now() - age::interval
          from (values ('new', '89 days'), ('old', '91 days')) as x(kind, age)""",
        ACCOUNT,
    )
    with running(database.app_url, valkey.url, tmp_path / "log") as worker:
        worker.wait_until_said("forgot")
    assert await owner.fetchval("select array_agg(kind) from attempt") == ["new"]
    await owner.close()


async def test_a_failed_deletion_does_not_stop_the_others(database: Database, valkey: Valkey, tmp_path: Path) -> None:
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(
        """
        insert into idempotency_key (account_id, key_digest, body_digest, at)
        select $1, 'old', 'b', now() - interval '25 h'""",
        ACCOUNT,
    )
    await owner.execute(
        """
        insert into attempt (account_id, minute, kind, subject_id, network, count, last_at)
        select $1, now() - interval '91 days', 'old', $1, 'unix', 1, now()""",
        ACCOUNT,
    )
    await owner.execute(f"revoke delete on idempotency_key from {APPLICATION}")
    with running(database.app_url, valkey.url, tmp_path / "log") as worker:
        worker.wait_until_said("forgot")
        (postponed,) = [line for line in worker.lines if line["event"] == "forgetting_postponed"]
        assert postponed["replies"] == "InsufficientPrivilegeError"
    assert await owner.fetchval("select count(*) from attempt") == 0
    assert await owner.fetchval("select count(*) from idempotency_key") == 1
    await owner.close()


async def test_old_uses_are_deleted(database: Database, valkey: Valkey, door: Door, tmp_path: Path) -> None:
    token = await born(door, ends_in=3_600)
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(
        """
        insert into token_use (account_id, token_id, day, generation, count, last_at)
        select $1, $2, current_date - ago, 1, 1, now()
          from (values (0), (400), (401), (900)) as x(ago)""",
        ACCOUNT, token.id,
    )  # fmt: skip
    with running(database.app_url, valkey.url, tmp_path / "log") as worker:
        worker.wait_until_said("forgot")
    left = await owner.fetch("select current_date - day as ago from token_use order by ago")
    assert [row["ago"] for row in left] == [0, 400]
    await owner.close()
