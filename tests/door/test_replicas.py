"""Where replicas must confirm a commit, an unconfirmed commit is not acknowledged."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from counterfoil import door as doors
from counterfoil.core.codec import Sealed
from counterfoil.core.refusals import OutcomeUnknown
from counterfoil.door import Door
from counterfoil.door.connection import DoorConnection
from counterfoil.postgres import batch as sql
from counterfoil.postgres.connection import connect
from counterfoil_dev.postgres import Database, Postgres
from door.asking import claim_of, create, exchange, revoke
from door.ledger_invariants import judged


async def test_a_commit_that_no_replica_confirmed_is_an_unknown_outcome(
    own: Database, own_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Door(own.app_url) as door:
        made = create()
        outcomes = [await door.execute(made)]
        await _wait_for_a_ghost(own_server)
        waiting_for_ghost = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"
        unsure = asyncio.create_task(door.execute(create(), claim_of("key"), lambda _: b"reply"))
        await _until(own_server, waiting_for_ghost)
        own_server.run("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
        with pytest.raises(OutcomeUnknown):
            await unsure
        monkeypatch.setattr(doors, "IN_DOUBT_SECONDS", 3.0)
        repeated = asyncio.create_task(door.execute(create(), claim_of("key"), lambda _: b"reply"))
        await _until(own_server, waiting_for_ghost)
        assert not repeated.done(), "what a replay tells has to be as durable as what it repeats"
        own_server.run("alter system reset all; select pg_reload_conf();")
        assert (await repeated).replayed
        outcomes.append(await door.execute(exchange(made)))
    ledger = await judged(own.owner_url)
    ledger.holds_all(outcomes)
    assert len(ledger.facts) == 3


async def test_a_lost_commit_that_no_replica_confirmed_is_an_unknown_outcome(
    own: Database, own_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "IN_DOUBT_SECONDS", 3.0)
    async with Door(own.app_url) as door:
        outcomes = [await door.execute(create())]
        await _wait_for_a_ghost(own_server)
        unsure = asyncio.create_task(door.execute(create()))
        await _until(own_server, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'")
        own_server.run("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
        await _until(own_server, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'")
        own_server.run("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
        with pytest.raises(OutcomeUnknown):
            await unsure
        own_server.run("alter system reset all; select pg_reload_conf();")
        outcomes.append(await door.execute(create()))
    (await judged(own.owner_url)).holds_all(outcomes)


async def test_a_replica_never_reports_the_result_of_a_commit(own: Database, own_server: Postgres) -> None:
    async with Door(own.app_url) as door:
        outcome = await door.execute(create())
    sealed = Sealed(entry=b"never written", private=None, salt=None, leaf=b"")
    await asyncio.to_thread(own_server.child.stop)
    signal = Path(own_server.child.command[2]) / "standby.signal"
    signal.touch()
    try:
        await asyncio.to_thread(own_server.start)
        connection = await connect(own.app_url)
        for xid in ("1000", str(2**40)):
            with pytest.raises(asyncpg.PostgresError, match="recovery"):
                await sql.fate(connection, xid, outcome.facts[0], sealed)
        await connection.close()
    finally:
        await asyncio.to_thread(own_server.child.stop)
        signal.unlink()
        await asyncio.to_thread(own_server.start)


async def test_a_command_without_effect_is_answered_when_the_replicas_have_the_earlier_commit(
    own: Database, own_server: Postgres
) -> None:
    waiting_for_ghost = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"
    async with Door(own.app_url) as door:
        made = create()
        await door.execute(made)
        await _wait_for_a_ghost(own_server)
        for _ in range(2):  # the second has no effect; a failover would undo both
            unsure = asyncio.create_task(door.execute(revoke(made)))
            await _until(own_server, waiting_for_ghost)
            own_server.run("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
            with pytest.raises(OutcomeUnknown):
                await unsure
        repeated = asyncio.create_task(door.execute(revoke(made)))
        await _until(own_server, waiting_for_ghost)
        assert not repeated.done()
        own_server.run("alter system reset all; select pg_reload_conf();")
        assert (await repeated).facts == ()


async def test_an_extra_rollback_puts_no_commit_in_doubt(own: Database) -> None:
    async with DoorConnection(own.app_url) as line:
        assert await line.ready()
        assert await line.survives(RuntimeError("before anything began"))
        assert line.replicated


async def _wait_for_a_ghost(server: Postgres) -> None:
    """Make every commit wait for a replica that does not exist; return when the server's processes know it."""
    server.run("alter system set synchronous_standby_names = 'ghost'; select pg_reload_conf();")
    await _until(server, "select count(*) from pg_settings where name = 'synchronous_standby_names' and setting <> ''")
    await asyncio.sleep(0.3)  # the others were signalled at the same moment as the one that answered


async def _until(server: Postgres, sql: str) -> None:
    for _ in range(500):
        if int(await asyncio.to_thread(server.run, sql)):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"still none: {sql}")
