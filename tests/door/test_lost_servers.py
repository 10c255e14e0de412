"""When the database goes away, no acknowledged command is lost, and service returns without intervention."""

import asyncio
import os
import random
import signal
import time
from typing import Any

import asyncpg
import pytest

from counterfoil.core.refusals import OutcomeUnknown, Overloaded
from counterfoil.core.unit_of_work import Outcome, Request
from counterfoil.door import Door, queue
from counterfoil.idempotency import IdempotencyClaim
from counterfoil_dev.postgres import Database, Postgres
from door.asking import claim_of, create, exchange
from door.ledger_invariants import judged
from door.other_process import Start


async def _keep_asking(door: Door, outcomes: list[Outcome], until: asyncio.Event, refused: list[Exception]) -> None:
    """Create tokens and exchange them, recording what is acknowledged."""
    while not until.is_set():
        made = create()
        for command in (made, exchange(made), exchange(made)):
            try:
                outcome = await door.execute(command)
            except (Overloaded, OutcomeUnknown) as refusal:
                refused.append(refusal)
                break
            outcomes.append(outcome)


async def test_terminated_backends_under_load_cost_no_caller_an_answer(
    database: Database, postgres_server: Postgres
) -> None:
    outcomes: list[Outcome] = []
    refused: list[Exception] = []
    over = asyncio.Event()
    async with Door(database.app_url) as door, asyncio.TaskGroup() as group:
        for _ in range(24):
            group.create_task(_keep_asking(door, outcomes, over, refused))
        for _ in range(12):
            await asyncio.sleep(random.uniform(0.05, 0.25))
            await asyncio.to_thread(
                postgres_server.run,
                "select pg_terminate_backend(pid) from pg_stat_activity"
                f" where usename = 'counterfoil_app' and datname = '{database.name}' and random() < 0.7",
            )
        over.set()
    assert refused == []
    (await judged(database.owner_url)).holds_exactly(outcomes)
    await asyncio.sleep(0.1)
    left = f"select count(*) from pg_stat_activity where datname = '{database.name}'"
    assert int(postgres_server.run(left)) == 0, "no connection was left behind"


async def test_a_slow_statement_is_cancelled_and_retried(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = asyncpg.connect

    async def hasty(*args: Any, **said: Any) -> Any:
        return await connect(*args, **said | {"command_timeout": 0.2})

    owner = await connect(database.owner_url)
    monkeypatch.setattr(asyncpg, "connect", hasty)
    async with Door(database.app_url) as door:
        made = create()
        outcomes = [await door.execute(made)]
        await owner.execute("begin; lock table event in access exclusive mode")
        calls = [asyncio.create_task(door.execute(exchange(made))) for _ in range(5)]
        await asyncio.sleep(0.5)
        await owner.execute("rollback")
        outcomes += await asyncio.gather(*calls)
    monkeypatch.undo()
    await owner.close()
    (await judged(database.owner_url)).holds_exactly(outcomes)


@pytest.mark.parametrize("step", ["claim", "take", "append", "store_replies"])
async def test_a_process_killed_between_two_statements_leaves_nothing_half_done(
    database: Database, door: Door, elsewhere: Start, step: str
) -> None:
    made = create()
    outcomes = [await door.execute(made)]
    doomed = await elsewhere(database.app_url, still_after=step)
    asks: list[tuple[Request, IdempotencyClaim | None]] = [(create(), claim_of("doomed")), (exchange(made), None)]
    doomed.send(asks)
    assert await doomed.hear() == "reached"
    await doomed.kill()
    outcomes.append(await door.execute(asks[0][0], asks[0][1], lambda outcome: str(outcome.at).encode()))
    assert not outcomes[-1].replayed
    outcomes.append(await door.execute(exchange(made)))
    ledger = await judged(database.owner_url)
    ledger.holds_exactly(outcomes)
    assert (ledger.keys, ledger.secrets) == (1, 2)


async def test_a_server_killed_under_load_loses_nothing_that_was_acknowledged(
    own: Database, own_server: Postgres
) -> None:
    outcomes: list[Outcome] = []
    refused: list[Exception] = []
    over = asyncio.Event()
    async with Door(own.app_url) as door, asyncio.TaskGroup() as group:
        for _ in range(24):
            group.create_task(_keep_asking(door, outcomes, over, refused))
        for _ in range(2):
            await asyncio.sleep(random.uniform(0.3, 0.8))
            own_server.child.kill()
            await asyncio.to_thread(own_server.start)
            known = len(outcomes)
        await asyncio.sleep(1)
        over.set()
    assert len(outcomes) > known + 100, "service is back"
    assert {type(refusal) for refusal in refused} <= {Overloaded, OutcomeUnknown}
    (await judged(own.owner_url)).holds_exactly(outcomes)


async def test_an_absent_database_is_reported_as_overloaded_and_reconnected(
    own: Database, own_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 1.0)
    async with Door(own.app_url) as door:
        outcomes = [await door.execute(create())]
        own_server.child.kill()
        began = time.monotonic()
        answers = await asyncio.gather(*(door.execute(create()) for _ in range(600)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {Overloaded}
        assert 1.0 <= time.monotonic() - began < 6
        await asyncio.to_thread(own_server.start)
        async with asyncio.timeout(10):
            outcomes.append(await door.execute(create()))
    (await judged(own.owner_url)).holds_exactly(outcomes)


async def test_closing_the_door_while_the_database_is_away_leaves_no_caller_hanging(
    own: Database, own_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 1.0)
    async with asyncio.timeout(10), Door(own.app_url) as door:
        await door.execute(create())
        own_server.child.kill()
        calls = [asyncio.create_task(door.execute(create())) for _ in range(10)]
        await asyncio.sleep(0.1)
    assert {type(answer) for answer in await asyncio.gather(*calls, return_exceptions=True)} == {Overloaded}


async def test_a_frozen_server_is_reported_as_overloaded_to_waiting_callers(
    own: Database, own_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 1.0)
    async with Door(own.app_url) as door:
        made = create()
        outcomes = [await door.execute(made)]
        backends = own_server.run("select pid from pg_stat_activity where usename = 'counterfoil_app'").split()
        for pid in backends:
            os.kill(int(pid), signal.SIGSTOP)
        riding = [asyncio.create_task(door.execute(exchange(made))) for _ in range(2)]
        await asyncio.sleep(0.1)
        late = await asyncio.gather(*(door.execute(exchange(made)) for _ in range(5)), return_exceptions=True)
        assert {type(answer) for answer in late} == {Overloaded}
        for pid in backends:
            os.kill(int(pid), signal.SIGCONT)
        outcomes += await asyncio.gather(*riding)
    (await judged(own.owner_url)).holds_exactly(outcomes)


@pytest.mark.parametrize(
    ("spoil", "mend"),
    [
        ("alter database counterfoil set default_transaction_read_only = on", "alter database counterfoil reset all"),
        ("alter role counterfoil_app nologin", "alter role counterfoil_app login"),
        ("alter database counterfoil connection limit 0", "alter database counterfoil connection limit -1"),
        ("alter database counterfoil rename to elsewhere", "alter database elsewhere rename to counterfoil"),
    ],
)
async def test_a_server_that_refuses_connections_is_retried_slowly_until_it_accepts(
    own: Database, own_server: Postgres, monkeypatch: pytest.MonkeyPatch, spoil: str, mend: str
) -> None:
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 1.0)
    tries = 0
    connect = asyncpg.connect

    async def counted(*args: Any, **said: Any) -> Any:
        nonlocal tries
        tries += 1
        return await connect(*args, **said)

    monkeypatch.setattr(asyncpg, "connect", counted)
    end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'counterfoil_app'"
    async with Door(own.app_url) as door:
        outcomes = [await door.execute(create())]
        own_server.run(f"{end};" if "rename" in spoil else "")
        own_server.run(f"{spoil}; {end};")
        began = time.monotonic()
        with pytest.raises(Overloaded):
            await door.execute(create())
        assert tries < 10 * (2 + time.monotonic() - began)
        own_server.run(f"{mend}; {end};")
        async with asyncio.timeout(10):
            outcomes.append(await door.execute(create()))
    (await judged(own.owner_url)).holds_exactly(outcomes)
