"""Bulk revocations in real workers: shared, killed, cancelled, without Redis; each token is revoked once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import uuid_utils.compat as uuids
from structlog.testing import capture_logs

from counterfoil.core.subjects.bulk_revocation import AcceptBulkRevocation, BulkRevocation, CancelBulkRevocation
from counterfoil.core.subjects.token.commands import Revoke
from counterfoil.core.subjects.token.state import Token
from counterfoil.door import Door, queue
from counterfoil.postgres.bulk_revocations import forget_unaccepted, open_bulk_revocations, part_of, progress
from counterfoil.postgres.connection import Pool, open_pool
from counterfoil.postgres.descent import PART
from counterfoil.postgres.listing import Filter
from counterfoil.postgres.selection import look, stage
from counterfoil_dev.postgres import Database, Postgres
from counterfoil_dev.valkey import Valkey
from counterfoil_worker import bulk_revocations as working
from counterfoil_worker.bulk_revocations import BulkRevocations
from worker.token_lifetimes import ACCOUNT, ROOT, cut_everybody, many_born
from worker.workers import running

EVERYTHING = Filter(owner_id="billing")


async def staged(pool: Pool, job: UUID, wanted: Filter = EVERYTHING) -> int:
    plan = (await look(pool, ACCOUNT, wanted, itself=job)).digest
    found = await stage(pool, ACCOUNT, wanted, revocation=job, digest=plan)
    assert found.digest == plan
    return found.tokens


async def accepted(pool: Pool, door: Door, job: UUID | None = None, wanted: Filter = EVERYTHING) -> BulkRevocation:
    """A bulk revocation of all tokens, or of the given ones."""
    job = job or uuids.uuid7()
    total = await staged(pool, job, wanted)
    outcome = await door.execute(
        AcceptBulkRevocation(account=ACCOUNT, id=job, by=ROOT, plan="00", total=total, reason="leaked", filter={})
    )
    assert isinstance(outcome.state, BulkRevocation)
    return outcome.state


async def revocations(url: str) -> Counter[UUID]:
    """How often each token was revoked by a bulk revocation."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            """
            select subject_id
              from event
             where type = 'revoked'
               and entry::json #>> '{data,bulk_revocation}' is not null"""
        )
    finally:
        await connection.close()
    return Counter(row["subject_id"] for row in rows)


async def until_revoked(url: str, count: int) -> int:
    async with asyncio.timeout(120):
        while (there := (await revocations(url)).total()) < count:  # noqa: ASYNC110 - another process's work
            await asyncio.sleep(0.02)
    return there


async def until_over(pool: Pool, *, seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while await open_bulk_revocations(pool):  # noqa: ASYNC110 - another process's work
            await asyncio.sleep(0.01)


async def state_of(database: Database, job: BulkRevocation) -> tuple[str, int | None, int | None]:
    async with await open_pool(database.app_url, size=1) as pool:
        row = await pool.fetchrow("select status, details::json as d from subject where subject_id = $1", job.id)
        far = await progress(pool, job)
    assert row is not None
    return row["status"], far.done, far.revoked


@asynccontextmanager
async def held(database: Database, *tokens: UUID) -> AsyncIterator[None]:
    """Another transaction that holds the rows of these tokens."""
    somebody = await asyncpg.connect(database.owner_url)
    try:
        async with somebody.transaction():
            await somebody.fetch("select from token where token_id = any($1::uuid[]) for update", tokens)
            yield
    finally:
        await somebody.close()


def those_after(tokens: list[Token]) -> Filter:
    return Filter(created_after=max(token.created_at for token in tokens) + timedelta(microseconds=1))


def each_once(said: Counter[UUID], tokens: list[Token]) -> bool:
    return said == Counter(token.id for token in tokens)


async def test_a_repeatedly_killed_job_is_finished_and_each_token_revoked_once(
    database: Database, valkey: Valkey, door: Door, pool: Pool, tmp_path: Path
) -> None:
    tokens = await many_born(door, 6 * PART, ends_in=3_600)
    job = await accepted(pool, door)
    seen = 0
    for turn in range(5):
        with running(database.app_url, valkey.url, tmp_path / f"killed-{turn}") as worker:
            seen = await until_revoked(database.app_url, seen + 1)
            worker.kill()
    assert seen < len(tokens)
    with running(database.app_url, valkey.url, tmp_path / "next"):
        await until_over(pool)
    assert each_once(await revocations(database.app_url), tokens)
    assert await state_of(database, job) == ("finished", len(tokens), len(tokens))


async def test_two_workers_share_a_job_and_duplicate_nothing(
    database: Database, valkey: Valkey, door: Door, pool: Pool, tmp_path: Path
) -> None:
    tokens = await many_born(door, 4 * PART, ends_in=3_600)
    with ExitStack() as stack:
        workers = [stack.enter_context(running(database.app_url, valkey.url, tmp_path / name)) for name in "ab"]
        for worker in workers:
            worker.wait_until_said("worker_started")
        job = await accepted(pool, door)
        await until_over(pool)
    assert each_once(await revocations(database.app_url), tokens)
    assert await state_of(database, job) == ("finished", len(tokens), len(tokens))


async def test_a_job_survives_a_restart_of_the_database(
    postgres_server: Postgres, database: Database, valkey: Valkey, door: Door, tmp_path: Path
) -> None:
    tokens = await many_born(door, 4 * PART, ends_in=3_600)
    async with await open_pool(database.app_url, size=1) as pool:
        job = await accepted(pool, door)
    with running(database.app_url, valkey.url, tmp_path / "log") as worker:
        await until_revoked(database.app_url, 1)
        cut_everybody(postgres_server, database)
        async with await open_pool(database.app_url, size=1) as fresh:
            await until_over(fresh)
        assert worker.stop() == 0
    assert each_once(await revocations(database.app_url), tokens)
    assert await state_of(database, job) == ("finished", len(tokens), len(tokens))


async def test_a_cancelled_job_stops_after_its_current_part(
    database: Database, valkey: Valkey, door: Door, pool: Pool, tmp_path: Path
) -> None:
    tokens = await many_born(door, 8 * PART, ends_in=3_600)
    job = await accepted(pool, door)
    with running(database.app_url, valkey.url, tmp_path / "log") as worker:
        await until_revoked(database.app_url, 1)
        await door.execute(CancelBulkRevocation(account=ACCOUNT, id=job.id, by=ROOT))
        assert worker.stop() == 0
    said = await revocations(database.app_url)
    assert 0 < said.total() < len(tokens)
    status, done, revoked = await state_of(database, job)
    assert (status, done) == ("cancelled", revoked)
    assert revoked == said.total()


async def test_without_redis_the_leader_does_the_job(
    database: Database, valkey: Valkey, door: Door, pool: Pool, tmp_path: Path
) -> None:
    tokens = await many_born(door, 10, ends_in=3_600)
    await accepted(pool, door)
    nowhere = valkey.url.replace("valkey.sock", "nobody.sock")
    with running(database.app_url, nowhere, tmp_path / "log"):
        await until_over(pool)
    assert each_once(await revocations(database.app_url), tokens)


async def test_a_held_part_is_skipped_and_done_when_it_is_free(door: Door, pool: Pool) -> None:
    tokens = await many_born(door, PART + 7, ends_in=3_600)
    job = await accepted(pool, door)
    jobs = BulkRevocations(pool, door)
    async with part_of(pool, job) as held:
        assert held is not None
        await jobs.work()
        far = await progress(pool, job)
        assert (far.left, far.done) == (1, len(tokens) - len(held[1].tokens))
    await jobs.work()
    assert await open_bulk_revocations(pool) == []
    assert (await progress(pool, job)).revoked == len(tokens)


async def test_tokens_that_others_revoked_meanwhile_are_not_counted(door: Door, pool: Pool) -> None:
    tokens = await many_born(door, 9, ends_in=3_600)
    job = await accepted(pool, door)
    for token in tokens[:4]:
        await door.execute(Revoke(account=ACCOUNT, id=token.id, by=ROOT, reason="by hand"))
    await BulkRevocations(pool, door).work()
    far = await progress(pool, job)
    assert (far.done, far.revoked, far.failed) == (9, 5, 0)


async def test_freezing_twice_gives_the_same_plan_and_an_unaccepted_plan_is_deleted(
    database: Database, door: Door, pool: Pool
) -> None:
    await many_born(door, PART + 1, ends_in=3_600)
    job = uuids.uuid7()
    assert [await staged(pool, job) for _ in range(2)] == [PART + 1] * 2
    owner = await asyncpg.connect(database.owner_url)
    parts = await owner.fetch("select part, cardinality(token_ids) as n from bulk_revocation_part order by part")
    assert [tuple(part) for part in parts] == [(0, PART), (1, 1)]
    await BulkRevocations(pool, door).work()
    assert (await revocations(database.app_url)).total() == 0
    assert await forget_unaccepted(pool) == 0
    kept = await accepted(pool, door)
    await owner.execute("update bulk_revocation_part set staged_at = staged_at - interval '25 hours'")
    assert await forget_unaccepted(pool) == 2
    assert await owner.fetchval("select count(*) from bulk_revocation_part where bulk_revocation_id = $1", kept.id) == 2
    await owner.close()


async def test_a_plan_frozen_again_is_not_deleted_before_it_is_accepted(
    database: Database, door: Door, pool: Pool
) -> None:
    tokens = await many_born(door, PART + 1, ends_in=3_600)
    job = uuids.uuid7()
    await staged(pool, job)
    await pool.execute("update bulk_revocation_part set staged_at = staged_at - interval '25 hours'")
    await staged(pool, job)
    assert await forget_unaccepted(pool) == 0
    again = await accepted(pool, door, job)
    await BulkRevocations(pool, door).work()
    assert await state_of(database, again) == ("finished", len(tokens), len(tokens))


async def test_a_job_with_missing_parts_is_never_reported_as_finished(
    database: Database, door: Door, pool: Pool
) -> None:
    tokens = await many_born(door, PART + 1, ends_in=3_600)
    job = await accepted(pool, door)
    await pool.execute("delete from bulk_revocation_part where part = 1")
    with capture_logs() as lines:
        await BulkRevocations(pool, door).work()
    assert await state_of(database, job) == ("running", PART, PART)
    (told,) = [line for line in lines if line["event"] == "bulk_revocation_incomplete"]
    assert (told["log_level"], told["bulk_revocation"]) == ("error", job.id)
    assert (told["total"], told["done"]) == (len(tokens), PART)


async def test_held_tokens_delay_no_others_and_no_later_parts_or_jobs(
    database: Database, door: Door, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 3.0)
    tokens = await many_born(door, 2 * PART + 1, ends_in=3_600)
    job = await accepted(pool, door)
    others = await many_born(door, 5, ends_in=3_600)
    later = await accepted(pool, door, wanted=those_after(tokens))
    ids, jobs = sorted(token.id for token in tokens), BulkRevocations(pool, door)
    async with held(database, ids[0], ids[PART]):  # as many parts as run at once
        await jobs.work()
        assert each_once(
            await revocations(database.app_url), [t for t in tokens + others if t.id not in ids[::PART][:2]]
        )
        assert await state_of(database, job) == ("running", 1, 1)
        assert await state_of(database, later) == ("finished", 5, 5)
    await jobs.work()
    assert await state_of(database, job) == ("running", 1, 1)
    monkeypatch.setattr(working, "_REST_SECONDS", 0)
    await jobs.work()
    assert await state_of(database, job) == ("finished", len(tokens), len(tokens))
    assert each_once(await revocations(database.app_url), tokens + others)


async def test_a_job_that_uses_up_a_shift_is_not_first_in_the_next_one(
    database: Database, door: Door, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 2.0)
    monkeypatch.setattr(BulkRevocations, "seconds", 1.0)
    monkeypatch.setattr(working, "_REST_SECONDS", 0)
    tokens = await many_born(door, 1, ends_in=3_600)
    await accepted(pool, door)
    await many_born(door, 2, ends_in=3_600)
    later = await accepted(pool, door, wanted=those_after(tokens))
    jobs = BulkRevocations(pool, door)
    async with held(database, tokens[0].id):
        await jobs.work()
        assert await state_of(database, later) == ("accepted", 0, 0)
        await jobs.work()
        assert await state_of(database, later) == ("finished", 2, 2)


POISON = """
create table poison (token_id uuid);
create function refuse_poison() returns trigger language plpgsql security definer as $$
begin
    if exists (select from poison p where p.token_id = new.subject_id) then
        raise exception 'not now' using errcode = $error$;
    end if;
    return new;
end $$;
create trigger poison before insert on event for each row when (new.type = 'revoked') execute function refuse_poison();
"""


@pytest.mark.parametrize("error", ["deadlock_detected", "query_canceled", "raise_exception"])
async def test_a_failure_without_a_refusal_is_retried(
    database: Database, door: Door, pool: Pool, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    tokens = await many_born(door, 5, ends_in=3_600)
    job, jobs = await accepted(pool, door), BulkRevocations(pool, door)
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(POISON.replace("$error$", f"'{error}'"))
    await owner.execute("insert into poison values ($1)", tokens[2].id)
    with capture_logs() as lines:
        await jobs.work()
    assert await state_of(database, job) == ("running", 0, 0)
    assert each_once(await revocations(database.app_url), [token for token in tokens if token is not tokens[2]])
    assert {line["log_level"] for line in lines if line["event"] == "tokens_left_for_later"} == {"error"}
    await owner.execute("truncate poison")
    monkeypatch.setattr(working, "_REST_SECONDS", 0)
    await jobs.work()
    assert await state_of(database, job) == ("finished", 5, 5)
    assert (await progress(pool, job)).failed == 0
    await owner.close()


async def test_a_refused_token_is_skipped_and_the_job_goes_on(database: Database, door: Door, pool: Pool) -> None:
    await many_born(door, 3, ends_in=3_600)
    job, nobody = await accepted(pool, door), uuids.uuid7()
    await pool.execute("update bulk_revocation_part set token_ids[2] = $1", nobody)
    await BulkRevocations(pool, door).work()
    far = await progress(pool, job)
    assert (await state_of(database, job), far.failed, far.some_failed) == (("finished", 3, 2), 1, [nobody])
