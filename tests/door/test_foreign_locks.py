"""A row that another transaction holds delays the commands for this row and no others."""

import asyncio
import time

import asyncpg
import pytest

from counterfoil.core.refusals import Busy
from counterfoil.core.subjects.account import CreateAccount
from counterfoil.core.unit_of_work import Outcome
from counterfoil.door import Door, queue
from counterfoil.door.batch import Batch
from counterfoil.postgres.connection import Connection
from counterfoil_dev.postgres import Database
from door.asking import ADMIN, create, exchange, update
from door.ledger_invariants import judged
from door.other_process import Start


async def _hold(owner: Connection, *tokens: object) -> None:
    await owner.execute("begin")
    await owner.fetch("select from token where token_id = any($1) for update", tokens)


async def test_a_held_row_is_reported_as_busy_and_leaves_no_trace(
    door: Door, database: Database, owner: Connection
) -> None:
    made = create()
    outcomes = [await door.execute(made)]
    await _hold(owner, made.id)
    began = time.monotonic()
    with pytest.raises(Busy):
        await door.execute(exchange(made))
    assert 0.5 < time.monotonic() - began < 5
    await owner.execute("rollback")
    outcomes.append(await door.execute(exchange(made)))
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_row_that_is_released_in_time_is_taken(door: Door, database: Database, owner: Connection) -> None:
    made = create()
    outcomes = [await door.execute(made)]
    await _hold(owner, made.id)
    calls = [asyncio.create_task(door.execute(exchange(made))) for _ in range(3)]
    await asyncio.sleep(0.5)
    assert not any(task.done() for task in calls)
    await owner.execute("rollback")
    outcomes += await asyncio.gather(*calls)
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_other_commands_go_on_while_a_row_is_held(door: Door, owner: Connection) -> None:
    held, free = create(), create()
    await door.execute(held)
    await door.execute(free)
    await _hold(owner, held.id)
    calls = asyncio.gather(*(door.execute(exchange(held)) for _ in range(5)), return_exceptions=True)
    meanwhile = 0
    while not calls.done():
        await door.execute(exchange(free))
        meanwhile += 1
    assert {type(answer) for answer in await calls} == {Busy}
    assert meanwhile > 20, "one that waited behind the held row would take a second"
    await owner.execute("rollback")


async def test_waiting_for_a_row_does_not_spin(database: Database, owner: Connection) -> None:
    batches: list[Batch] = []
    async with Door(database.app_url, observe=lambda batch, _waited, _took: batches.append(batch)) as door:
        made = create()
        await door.execute(made)
        await _hold(owner, made.id)
        with pytest.raises(Busy):
            await door.execute(exchange(made))
        await owner.execute("rollback")
    assert len(batches) < 10


async def test_a_held_account_does_not_spin_either(database: Database, owner: Connection) -> None:
    batches: list[Batch] = []
    opening = CreateAccount(account=ADMIN.account, id=ADMIN.account, by=ADMIN, name="Acme")
    async with Door(database.app_url, observe=lambda batch, _waited, _took: batches.append(batch)) as door:
        await door.execute(opening)
        await owner.execute("begin")
        await owner.fetch("select from subject for update")
        with pytest.raises(Busy):
            await door.execute(opening)
        await owner.execute("rollback")
    assert len(batches) < 10


async def test_many_held_rows_are_each_reported_as_busy_in_time(
    door: Door, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 2.0)
    tokens = [create() for _ in range(30)]
    await asyncio.gather(*(door.execute(token) for token in tokens))
    await _hold(owner, *(token.id for token in tokens))
    began = time.monotonic()
    answers = await asyncio.gather(*(door.execute(exchange(token)) for token in tokens), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Busy}
    assert time.monotonic() - began < 5
    await owner.execute("rollback")


async def test_rows_held_one_after_another_are_all_answered(door: Door, database: Database) -> None:
    """Each release falls in the moment in which the wait for the previous row ends."""
    tokens = [create() for _ in range(40)]
    outcomes = list(await asyncio.gather(*(door.execute(token) for token in tokens)))

    async def held_for_a_moment(place: int) -> None:
        holder = await asyncpg.connect(database.owner_url)
        await asyncio.sleep(place * 0.013)
        await _hold(holder, tokens[place].id)
        asking = asyncio.create_task(door.execute(exchange(tokens[place])))
        await asyncio.sleep(0.012)
        await holder.execute("rollback")
        outcomes.append(await asyncio.wait_for(asking, 10))
        await holder.close()

    await asyncio.gather(*(held_for_a_moment(place) for place in range(len(tokens))))
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_busy_row_in_a_batch_that_breaks_is_still_answered(
    door: Door, database: Database, owner: Connection
) -> None:
    """Two commands for one held row, in two halves of a batch that was split because of a failing neighbour."""
    held, poison = create(), create()
    await door.execute(held)
    await _hold(owner, held.id)
    mixed = [
        update(held, name="a"),
        *(create() for _ in range(6)),
        create(secret=poison.secret),
        update(held, name="b"),
    ]
    await door.execute(poison)
    async with asyncio.timeout(15):
        answers = await asyncio.gather(*(door.execute(command) for command in mixed), return_exceptions=True)
    assert [type(answer).__name__ for answer in (answers[0], answers[-1])] == ["Busy", "Busy"]
    await owner.execute("rollback")
    await judged(database.owner_url)


async def test_doors_share_a_row_without_refusals(door: Door, database: Database) -> None:
    """Two doors use the row by its secret and by its id; each skips it while the other holds it."""
    made = create()
    outcomes = [await door.execute(made)]

    async def keep_asking(one: Door) -> None:
        for turn in range(40):
            outcomes.append(await one.execute(update(made, name=f"n{turn}") if turn % 8 == 0 else exchange(made)))  # noqa: PERF401 - in turn

    async with Door(database.app_url) as other, asyncio.timeout(20):
        await asyncio.gather(*(keep_asking(one) for one in (door, other) for _ in range(16)))
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_frozen_process_delays_its_own_tokens_and_no_others(
    door: Door, database: Database, elsewhere: Start
) -> None:
    frozen, free = create(), create()
    outcomes = [await door.execute(frozen), await door.execute(free)]
    other = await elsewhere(database.app_url, still_after="append")
    other.send([(update(frozen, name="never said"), None)])
    assert await other.hear() == "reached"
    calls = asyncio.gather(door.execute(exchange(frozen)), door.execute(exchange(free)), return_exceptions=True)
    busy, outcome = await calls
    assert isinstance(busy, Busy)
    assert isinstance(outcome, Outcome)
    await other.kill()
    outcomes += [outcome, await door.execute(exchange(frozen))]
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_key_about_to_be_committed_elsewhere_delays_no_other_command(door: Door, owner: Connection) -> None:
    free, doomed = create(), create()
    await door.execute(free)
    secret = doomed.secret
    assert secret is not None
    await owner.execute("begin")
    await owner.execute(
        "insert into secret (digest, account_id, token_id, generation, pepper_id) values ($1, $2, $3, 1, 1)",
        secret.digest, doomed.account, doomed.id,
    )  # fmt: skip
    poisoned = asyncio.create_task(door.execute(doomed))
    beside = [asyncio.create_task(door.execute(create())) for _ in range(3)]
    exchanges = [asyncio.create_task(door.execute(exchange(free))) for _ in range(50)]
    done = await asyncio.gather(*exchanges, *beside)
    assert all(isinstance(each, Outcome) for each in done)
    assert isinstance((await asyncio.gather(poisoned, return_exceptions=True))[0], Busy)
    await owner.execute("rollback")
    await door.execute(doomed)
