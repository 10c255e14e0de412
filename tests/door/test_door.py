"""What the door promises to its callers in normal operation."""

import asyncio
import gc
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from counterfoil import door as doors
from counterfoil.core.refusals import EntryTooLarge, NotFound, Overloaded, TokenExpired, TokenRevoked
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import Outcome, Request
from counterfoil.door import Door
from counterfoil.door.batch import Batch
from counterfoil.postgres.connection import Connection
from counterfoil_dev.postgres import Database
from door.asking import claim_of, create, exchange, revoke, rotate, update
from door.ledger_invariants import judged


@pytest.fixture(autouse=True)
def complaints() -> Iterator[list[dict[str, Any]]]:
    """The complaints of the event loop, above all exceptions that were never retrieved."""
    heard: list[dict[str, Any]] = []
    loop = asyncio.get_event_loop_policy().get_event_loop()
    loop.set_exception_handler(lambda _loop, context: heard.append(context))
    yield heard
    gc.collect()
    loop.set_exception_handler(None)
    assert heard == []


async def test_commands_that_arrive_together_share_a_transaction(database: Database) -> None:
    batches: list[Batch] = []
    async with Door(database.app_url, observe=lambda batch, _waited, _took: batches.append(batch)) as door:
        outcomes = await asyncio.gather(*(door.execute(create()) for _ in range(200)))
    assert len(batches) < 10
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_refusal_does_not_affect_its_neighbours_and_leaves_no_trace(door: Door, database: Database) -> None:
    good = [create() for _ in range(50)]
    unknown = create()
    answers = await asyncio.gather(
        *(door.execute(command) for made in good for command in (made, revoke(unknown))), return_exceptions=True
    )
    assert {type(answer) for answer in answers[1::2]} == {NotFound}
    (await judged(database.owner_url)).holds_exactly(answers[::2])  # type: ignore[arg-type]


async def test_commands_for_one_token_are_decided_in_turn(door: Door, database: Database) -> None:
    made = create()
    outcomes = [await door.execute(made)]
    asked: list[Request] = [exchange(made), rotate(made), update(made), revoke(made), exchange(made), rotate(made)]
    answers = await asyncio.gather(*(door.execute(command) for command in asked), return_exceptions=True)
    assert [type(answer).__name__ for answer in answers[-2:]] == ["TokenRevoked", "AlreadyRevoked"]
    outcomes += [answer for answer in answers if isinstance(answer, Outcome)]
    ledger = await judged(database.owner_url)
    ledger.holds_exactly(outcomes)
    assert ledger.secrets == 2


async def test_an_entry_that_is_too_large_leaves_no_trace(door: Door, database: Database) -> None:
    made = create()
    outcomes = [await door.execute(made)]
    scopes = tuple(f"scope{n}.{'x' * 100}" for n in range(900))
    for command in (create(scopes=scopes), update(made, scopes=scopes)):
        with pytest.raises(EntryTooLarge):
            await door.execute(command, claim_of("too large"), lambda _: b"")
    ledger = await judged(database.owner_url)
    ledger.holds_exactly(outcomes)
    assert (ledger.secrets, ledger.keys) == (1, 0)


async def test_cancelling_a_caller_does_not_cancel_its_command(door: Door, database: Database) -> None:
    made = create()
    await door.execute(made)
    calls = [asyncio.create_task(door.execute(exchange(made))) for _ in range(20)]
    calls += [asyncio.create_task(door.execute(revoke(create()))) for _ in range(20)]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*calls, return_exceptions=True))
    outcome = await door.execute(exchange(made))
    assert outcome.of(Token).version == 22
    assert len((await judged(database.owner_url)).facts) == 22


async def test_closing_commits_waiting_commands_and_refuses_the_rest(database: Database) -> None:
    async with Door(database.app_url) as door:
        calls = [asyncio.create_task(door.execute(create())) for _ in range(700)]
        await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await door.execute(create())
    (await judged(database.owner_url)).holds_exactly([await call for call in calls])


async def test_closing_leaves_no_connection_behind(database: Database, owner: Connection) -> None:
    async with Door(database.app_url) as door:
        await asyncio.gather(*(door.execute(create()) for _ in range(300)))
    await asyncio.sleep(0.1)
    left = await owner.fetchval("select count(*) from pg_stat_activity where datname = $1", database.name)
    assert left == 1, "only the one that asks"


async def test_a_full_queue_is_reported_as_overloaded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "QUEUE_LIMIT", 30)
    calls = [asyncio.create_task(door.execute(create())) for _ in range(40)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, Overloaded) for answer in answers) == 10
    await door.execute(create())


async def test_time_never_runs_backwards_within_a_token(door: Door, owner: Connection) -> None:
    made = create()
    first = await door.execute(made)
    ahead = first.at + timedelta(hours=1)
    await owner.execute("update token set at = $1", ahead)
    later = await door.execute(exchange(made))
    assert later.at == ahead
    assert later.of(Token).at == ahead
    assert await owner.fetchval("select at from event where version = 2") == ahead
    assert (await door.execute(create())).at < ahead


async def test_a_token_is_refused_from_the_instant_of_its_expiry(door: Door) -> None:
    made = create(lifetime="1s")
    outcome = await door.execute(made)
    expires_at = outcome.of(Token).expires_at
    assert expires_at
    bought = []

    async def keep_buying() -> None:
        while True:
            bought.append(await door.execute(exchange(made)))

    with pytest.raises(TokenExpired):
        await keep_buying()
    assert bought
    assert all(each.at < expires_at for each in bought)


async def test_a_revoked_token_gets_no_bearer_however_many_requests_run_at_once(door: Door) -> None:
    made = create()
    await door.execute(made)
    before = [door.execute(exchange(made)) for _ in range(100)]
    after = [door.execute(exchange(made)) for _ in range(100)]
    answers = await asyncio.gather(*before, door.execute(revoke(made)), *after, return_exceptions=True)
    revoked = answers[100]
    assert not isinstance(revoked, BaseException)
    for answer in answers:
        assert isinstance(answer, TokenRevoked) or answer.at <= revoked.at  # type: ignore[union-attr]
    with pytest.raises(TokenRevoked):
        await door.execute(exchange(made))


async def test_memory_does_not_grow_with_finished_commands(door: Door) -> None:
    made = create()
    await door.execute(made)

    async def ask(times: int) -> int:
        for _ in range(times):
            await asyncio.gather(*(door.execute(exchange(made)) for _ in range(50)), return_exceptions=True)
        gc.collect()
        return len(gc.get_objects())

    before = await ask(5)
    assert await ask(40) < before + 500
    assert door._queue.over
