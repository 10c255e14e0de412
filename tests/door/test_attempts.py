"""Attempts counted by the client: the first is always executed, and its repeats get its answer."""

import asyncio

import pytest

from counterfoil.core.refusals import NotFound
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.unit_of_work import Outcome
from counterfoil.door import Door
from counterfoil.idempotency import Attempt, IdempotencyClaim
from counterfoil.postgres.connection import Connection
from counterfoil_dev.postgres import Database
from door.asking import answer, claim_of, create, rotate, update
from door.ledger_invariants import judged
from door.other_process import Start


def attempt(number: int, *, ago: float = 0, key: str = "key", holds_secret: bool = True) -> IdempotencyClaim:
    """An attempt that arrives now, or arrived this many seconds ago: a client waits before it repeats."""
    came = asyncio.get_running_loop().time() - ago
    return claim_of(key, holds_secret=holds_secret, attempt=Attempt(number, came))


async def test_a_repeat_gets_the_answer_of_its_first_attempt(door: Door, database: Database) -> None:
    first = await door.execute(create(), attempt(0), answer)
    again = [await door.execute(create(), attempt(number), answer) for number in (1, 2, 1)]
    assert [(each.replayed, each.reply) for each in again] == [(True, first.reply)] * 3
    (await judged(database.owner_url)).holds_exactly([first])


async def test_a_first_attempt_is_always_executed(door: Door, database: Database) -> None:
    made = [await door.execute(create(), attempt(0), answer) for _ in range(3)]
    assert len({each.reply for each in made}) == 3
    assert (await door.execute(create(), attempt(1), answer)).reply == made[-1].reply
    at_once = await asyncio.gather(*(door.execute(create(), attempt(0), answer) for _ in range(12)))
    assert not any(each.replayed for each in at_once)
    ledger = await judged(database.owner_url)
    ledger.holds_exactly([*made, *at_once])
    assert ledger.keys == 1


async def test_a_repeat_without_a_first_attempt_is_executed_once(door: Door, database: Database) -> None:
    first = await door.execute(create(), attempt(1), answer)
    again = await door.execute(create(), attempt(2), answer)
    assert (first.replayed, again.replayed, again.reply) == (False, True, first.reply)
    (await judged(database.owner_url)).holds_exactly([first])


async def test_a_first_attempt_that_arrives_after_its_repeat_gets_the_answer_of_the_repeat(
    door: Door, database: Database
) -> None:
    waiting = attempt(0, ago=0.4)
    repeat = await door.execute(create(), attempt(1), answer)
    overtaken = await door.execute(create(), waiting, answer)
    assert (overtaken.replayed, overtaken.reply) == (True, repeat.reply)
    (await judged(database.owner_url)).holds_exactly([repeat])
    await asyncio.sleep(0.05)
    new = await door.execute(create(), attempt(0), answer)  # arrived after that repeat
    assert not new.replayed


async def test_a_delayed_first_attempt_does_not_get_the_answer_of_another(door: Door) -> None:
    waiting = attempt(0)
    other = await door.execute(create(), attempt(0), answer)
    mine = await door.execute(create(), waiting, answer)
    assert not mine.replayed
    assert mine.reply != other.reply


@pytest.mark.parametrize("holds_secret", [True, False])
async def test_a_repeat_counts_for_ten_minutes(door: Door, owner: Connection, holds_secret: bool) -> None:
    made = create()
    await door.execute(made)
    for minutes, replayed in ((9, True), (11, False)):
        names = iter(("a", "b"))
        first = await door.execute(
            update(made, name=f"{minutes} {next(names)}"), attempt(0, holds_secret=holds_secret), answer
        )
        await owner.execute(f"update idempotency_key set at = at - interval '{minutes} minutes'")
        again = await door.execute(
            update(made, name=f"{minutes} {next(names)}"), attempt(1, holds_secret=holds_secret), answer
        )
        assert (again.replayed, again.reply == first.reply) == (replayed, replayed)


async def test_a_repeat_of_a_refused_attempt_is_executed(door: Door, database: Database) -> None:
    made = create()
    with pytest.raises(NotFound):
        await door.execute(rotate(made), attempt(0), answer)
    outcomes = [await door.execute(made), await door.execute(rotate(made), attempt(1), answer)]
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_first_attempt_and_its_repeats_at_once_have_one_effect(door: Door, database: Database) -> None:
    async with Door(database.app_url) as other:
        outcomes: list[Outcome] = []
        for turn in range(20):
            first, key = create(), f"key {turn}"
            claims = [attempt(number, ago=ago, key=key) for number, ago in ((0, 0.4), (1, 0), (2, 0))]
            asked = [
                each.execute(command, claimed, answer)
                for each, command, claimed in zip((door, other, door), (first, create(), create()), claims, strict=True)
            ]
            answers = await asyncio.gather(*(asked if turn % 2 else reversed(asked)))
            assert len({each.reply for each in answers}) == 1
            outcomes += answers
    assert sum(not each.replayed for each in outcomes) == 20
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_attempts_in_two_processes_at_once_have_one_effect(database: Database, elsewhere: Start) -> None:
    processes = [await elsewhere(database.app_url) for _ in range(2)]
    for turn in range(10):
        asked: list[list[tuple[Create, IdempotencyClaim]]] = [
            [(create(), attempt(number, ago=ago, key=f"key {turn} {key}")) for key in range(10)]
            for number, ago in ((0, 0.4), (1, 0))
        ]
        one, two = await asyncio.gather(*(each.ask(asks) for each, asks in zip(processes, asked, strict=True)))
        for first, second in zip(one, two, strict=True):
            assert first.reply == second.reply
            assert {first.replayed, second.replayed} == {True, False}
    ledger = await judged(database.owner_url)
    assert (len(ledger.facts), ledger.keys) == (100, 100)


async def test_a_key_and_an_attempt_are_independent(door: Door) -> None:
    stated = await door.execute(create(), claim_of("key"), answer)
    counted = await door.execute(create(), attempt(1, key="another"), answer)
    assert stated.reply != counted.reply
