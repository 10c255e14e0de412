"""A command that breaks its batch is found by halving, and only this command gets the error."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from counterfoil.core.unit_of_work import Outcome, Request
from counterfoil.door import Door
from counterfoil.door.batch import Batch
from counterfoil.postgres.connection import Connection
from counterfoil_dev.postgres import Database, Postgres
from door.asking import claim_of, create, exchange, update
from door.ledger_invariants import judged


async def test_only_the_command_with_a_duplicate_secret_fails(database: Database) -> None:
    batches: list[Batch] = []
    async with Door(database.app_url, observe=lambda batch, _waited, _took: batches.append(batch)) as door:
        first = create()
        outcomes = [await door.execute(first)]
        asked = [create() for _ in range(100)]
        asked.insert(50, create(secret=first.secret))
        answers = await asyncio.gather(*(door.execute(command) for command in asked), return_exceptions=True)
        assert isinstance(answers.pop(50), asyncpg.UniqueViolationError)
        outcomes += [answer for answer in answers if isinstance(answer, Outcome)]
    assert len(outcomes) == 101
    assert len(batches) < 20, "halved, not tried one by one"
    ledger = await judged(database.owner_url)
    ledger.holds_exactly(outcomes)
    assert ledger.secrets == 101


async def test_many_failing_commands_fail_alone(door: Door, database: Database) -> None:
    first = create()
    outcomes = [await door.execute(first)]
    asked = [create(secret=first.secret) if place % 5 == 0 else create() for place in range(100)]
    answers = await asyncio.gather(*(door.execute(command) for command in asked), return_exceptions=True)
    assert all(isinstance(answer, Outcome) == bool(place % 5) for place, answer in enumerate(answers))
    outcomes += [answer for answer in answers if isinstance(answer, Outcome)]
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_command_that_breaks_the_fold_fails_alone(door: Door, database: Database) -> None:
    first = create()
    outcomes = [await door.execute(first)]
    forged = exchange(first)
    asked: list[Request] = [
        *(create() for _ in range(20)),
        type(forged)(digests=forged.digests, jti=forged.jti, lifetime_seconds=10**12),  # beyond what a datetime holds
        create(number=2**70),  # beyond what a bigint holds
        create(expires_at=datetime(2999, 1, 1, tzinfo=UTC), lifetime=None, number="7"),
    ]
    answers = await asyncio.gather(*(door.execute(command) for command in asked), return_exceptions=True)
    assert [type(answer) for answer in answers[-3:]] == [OverflowError, asyncpg.DataError, asyncpg.DataError]
    outcomes += [answer for answer in answers if isinstance(answer, Outcome)]
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_reply_that_cannot_be_built_undoes_only_its_command(door: Door, database: Database) -> None:
    def refuses(_outcome: Outcome) -> bytes:
        raise RuntimeError("no words")

    asked = [door.execute(create()) for _ in range(20)]
    asked.append(door.execute(create(), claim_of("key"), refuses))
    *outcomes, failed = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(failed, RuntimeError)
    ledger = await judged(database.owner_url)
    ledger.holds_exactly(outcomes)  # type: ignore[arg-type]
    assert ledger.keys == 0


async def test_a_failing_observer_stops_nothing(database: Database) -> None:
    def fails(_batch: Batch, _waited: float, _took: float) -> None:
        raise RuntimeError("the metrics are broken")

    async with Door(database.app_url, observe=fails) as door:
        async with asyncio.timeout(15):
            outcomes = [await door.execute(create()) for _ in range(5)]
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_cancelled_statement_is_retried(
    database: Database, owner: Connection, postgres_server: Postgres
) -> None:
    async with Door(database.app_url) as door:
        made = create()
        outcomes = [await door.execute(made)]
        await owner.execute("begin; lock table event in share mode")
        waiting = asyncio.create_task(door.execute(exchange(made)))
        await asyncio.sleep(0.2)
        cancelled = postgres_server.run(
            "select pg_cancel_backend(pid) from pg_stat_activity"
            f" where wait_event_type = 'Lock' and datname = '{database.name}'"
        )
        await owner.execute("rollback")
        outcomes.append(await waiting)
    assert cancelled.split() == ["t"]
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_migration_under_a_running_door_costs_no_caller_an_answer(door: Door, database: Database) -> None:
    made = create()
    outcomes = [await door.execute(made), await door.execute(exchange(made))]
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute("alter table token alter column name type varchar(300)")
    await connection.close()
    outcomes += await asyncio.gather(*(door.execute(update(made, name=f"n{turn}")) for turn in range(3)))
    outcomes.append(await door.execute(exchange(made)))
    (await judged(database.owner_url)).holds_exactly(outcomes)


@pytest.mark.parametrize("seconds", [0.5, 1.5])
async def test_a_locked_table_delays_all_commands_and_loses_none(
    door: Door, database: Database, owner: Connection, seconds: float
) -> None:
    made = create()
    outcomes = [await door.execute(made)]
    await owner.execute("begin; lock table token in access exclusive mode")
    waiting = asyncio.gather(
        *(door.execute(exchange(made)) for _ in range(5)), *(door.execute(create()) for _ in range(5))
    )
    await asyncio.sleep(seconds)
    await owner.execute("rollback")
    outcomes += await waiting
    (await judged(database.owner_url)).holds_exactly(outcomes)
