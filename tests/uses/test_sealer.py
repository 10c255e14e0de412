"""The sealer process: one works, others stand by, and inconsistent events are not sealed."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from counterfoil.uses.seal_log import Sealer
from counterfoil_dev.postgres import Database, Postgres
from postgres.sealing import seal_all
from postgres.tenant import Tenant, tenant_of
from postgres.test_sealing import WRITE, connected, places, written
from uses.sealer_processes import checked, sealer


@pytest_asyncio.fixture
async def tenant(database: Database) -> AsyncIterator[Tenant]:
    async with tenant_of(database) as tenant:
        yield tenant


async def until_sealed(tenant: Tenant, size: int, *, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while await tenant.pool.fetchval("select size from head") < size:  # noqa: ASYNC110 - another process's work
            await asyncio.sleep(0.05)


def cut_sealers(server: Postgres, database: Database) -> None:
    """Cut the connections of every sealer, including that of its lead."""
    server.run(
        f"""select pg_terminate_backend(a.pid)
              from pg_stat_activity a
             where a.datname = '{database.name}'
               and (a.application_name = 'counterfoil sealer'
                    or exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory'));"""
    )


async def test_a_sealer_seals_present_and_new_events(database: Database, tenant: Tenant, tmp_path: Path) -> None:
    token = await written(tenant, 3)
    with sealer(database.app_url, tmp_path / "sealer.log") as process:
        await until_sealed(tenant, 3)
        for version in range(4, 8):
            await tenant.pool.execute(WRITE, token.id, version)
            await until_sealed(tenant, version)
        said = await asyncio.to_thread(checked, database.app_url)
        assert (said.returncode, "sealed up to position 7" in said.stdout) == (0, True), said
        assert process.stop() == 0
    assert [line["event"] for line in process.lines] == ["sealer_started", "lead_taken", "sealer_stopped"]


async def test_an_idle_sealer_reports_about_once_a_second(database: Database, tenant: Tenant) -> None:
    await written(tenant, 2)
    stopping = asyncio.Event()
    working = asyncio.create_task(Sealer(database.app_url).run(stopping))
    await until_sealed(tenant, 2)
    before = await tenant.pool.fetchrow("select passes, passed_at, clock_timestamp() as now from head")
    await asyncio.sleep(3)
    after = await tenant.pool.fetchrow("select passes, passed_at, clock_timestamp() as now from head")
    assert before
    assert after
    seconds = (after["now"] - before["now"]).total_seconds()
    assert 1 <= after["passes"] - before["passes"] <= seconds + 1
    stopping.set()
    await asyncio.wait_for(working, 10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_sealer_without_the_lead_or_the_database_stops_on_request(
    database: Database, tmp_path: Path, number: signal.Signals
) -> None:
    nowhere = "postgresql://nobody@/nothing?host=/nonexistent"
    with (
        sealer(database.app_url, tmp_path / "one.log") as one,
        sealer(nowhere, tmp_path / "lost.log") as lost,
    ):
        one.wait_until_said("lead_taken")
        lost.wait_until_said("lead_unknown")
        with sealer(database.app_url, tmp_path / "other.log") as other:
            other.wait_until_said("sealer_started")
            for process in (other, lost, one):
                process.process.send_signal(number)
            assert [process.process.wait(20) for process in (other, lost, one)] == [0, 0, 0]
    assert other.said("lead_taken") == 0
    assert lost.said("lead_unknown") == 1


@pytest.mark.soak
async def test_another_sealer_takes_over_from_one_that_is_killed_or_hangs(
    database: Database, tenant: Tenant, tmp_path: Path
) -> None:
    token = await written(tenant, 2)
    with sealer(database.app_url, tmp_path / "first.log") as first:
        first.wait_until_said("lead_taken")
        with sealer(database.app_url, tmp_path / "second.log") as second:
            second.wait_until_said("sealer_started")
            first.kill()
            await tenant.pool.execute(WRITE, token.id, 3)
            await until_sealed(tenant, 3)
            second.wait_until_said("lead_taken")
            with sealer(database.app_url, tmp_path / "third.log") as third:
                third.wait_until_said("sealer_started")
                second.process.send_signal(signal.SIGSTOP)
                await tenant.pool.execute(WRITE, token.id, 4)
                await until_sealed(tenant, 4, seconds=60)
                second.process.send_signal(signal.SIGCONT)
                third.wait_until_said("lead_taken")
                second.wait_until_said("lead_lost")
                await tenant.pool.execute(WRITE, token.id, 5)
                await until_sealed(tenant, 5)
    assert await places(tenant) == [(n, n, n) for n in range(1, 6)]


async def test_a_sealer_survives_the_loss_of_its_connections_and_logs_it_once(
    database: Database, postgres_server: Postgres, tenant: Tenant
) -> None:
    token = await written(tenant, 2)
    stopping = asyncio.Event()
    with capture_logs() as lines:
        working = asyncio.create_task(Sealer(database.app_url).run(stopping))
        await until_sealed(tenant, 2)
        for version in (3, 4):
            cut_sealers(postgres_server, database)
            await tenant.pool.execute(WRITE, token.id, version)
            await until_sealed(tenant, version)
        stopping.set()
        await asyncio.wait_for(working, 10)
    said = [line["event"] for line in lines]
    assert said.count("sealing_fails") == said.count("sealing_again") <= 2


async def test_a_version_out_of_order_stops_the_sealer_with_an_error(
    database: Database, tenant: Tenant, tmp_path: Path
) -> None:
    token, other = await written(tenant, 2), await written(tenant, 2)
    await seal_all(database.app_url)
    with sealer(database.app_url, tmp_path / "sealer.log") as process:
        process.wait_until_said("lead_taken")
        async with tenant.pool.acquire() as connection, connection.transaction():
            await connection.execute(WRITE, other.id, 3)
            await connection.execute(WRITE, token.id, 4)
        assert await asyncio.to_thread(process.process.wait, 30) == 1
    critical = next(line for line in process.lines if line["event"] == "version_out_of_order")
    assert {**critical, "level": "critical", "account": str(tenant.account), "subject": str(token.id)} == critical
    assert (critical["expected"], critical["found"]) == (3, 4)
    assert f"of subject {token.id} of account {tenant.account} has to be 3; it is 4." in process.log.read_text()
    assert "Traceback" not in process.log.read_text()
    assert len(await places(tenant)) == 4  # the other's event is valid and waits: nothing of that pass is sealed
    await tenant.pool.execute("update head set passed_at = passed_at - interval '1 minute'")
    said = await asyncio.to_thread(checked, database.app_url)
    assert (said.returncode, "No sealer has reported for " in said.stderr) == (3, True), said


async def test_a_wrong_head_stops_the_sealer_with_an_error(database: Database, tenant: Tenant, tmp_path: Path) -> None:
    await written(tenant, 2)
    await tenant.pool.execute("update head set size = 5")
    with sealer(database.app_url, tmp_path / "sealer.log") as process:
        assert await asyncio.to_thread(process.process.wait, 30) == 1
    critical = next(line for line in process.lines if line["event"] == "log_broken")
    assert critical["level"] == "critical"
    assert critical["found"].endswith("has to be 0, the last position in sealed; it is 5.")
    assert "Traceback" not in process.log.read_text()


_SLOW = """
    create function dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return new; end $$;
    create trigger sealed_is_slow before insert on sealed for each row execute function dawdle()"""


async def test_a_pass_that_takes_too_long_is_cancelled_and_has_sealed_nothing(
    database: Database, tenant: Tenant, tmp_path: Path
) -> None:
    await written(tenant, 2)
    async with connected(database.owner_url) as owner:
        await owner.execute(_SLOW)
        with sealer(database.app_url, tmp_path / "sealer.log") as process:
            process.wait_until_said("lead_taken")
            await asyncio.sleep(0.5)
            assert await asyncio.to_thread(process.stop) == 0
        await owner.execute("drop trigger sealed_is_slow on sealed")
    assert await tenant.pool.fetchval("select size from head") == 0
    assert await seal_all(database.app_url) == 2
