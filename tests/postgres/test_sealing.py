"""Every committed event gets one position, in an order that keeps causes before effects."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import pytest
import pytest_asyncio

from counterfoil.core.subjects.token import commands
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres.connection import Connection
from counterfoil.postgres.placing import HeadOutOfStep, VersionOutOfOrder
from counterfoil.postgres.sealing import CHANNEL, Sealing, connect_sealer
from counterfoil_dev.postgres import Database
from postgres.sealing import seal_all
from postgres.tenant import Tenant, tenant_of

# A later version of a subject's first event; its content does not matter for the order.
WRITE = """
    insert into event (account_id, kind, subject_id, version, type, at, entry)
    select account_id, kind, subject_id, $2, type, clock_timestamp(), entry from event
     where subject_id = $1 and version = 1"""


@pytest_asyncio.fixture
async def tenant(database: Database) -> AsyncIterator[Tenant]:
    async with tenant_of(database) as tenant:
        yield tenant


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def sealing_on(database: Database, *, chunk: int = 5_000) -> AsyncIterator[Sealing]:
    connection = await connect_sealer(database.app_url)
    try:
        yield Sealing(connection, chunk=chunk)
    finally:
        await connection.close()


async def written(tenant: Tenant, events: int) -> Token:
    """A token with this many events."""
    token = await tenant.issue()
    await tenant.pool.executemany(WRITE, [(token.id, version) for version in range(2, events + 1)])
    return token


async def places(tenant: Tenant) -> list[tuple[int, int, int]]:
    """Position, position in the account, version."""
    rows = await tenant.pool.fetch("select pos, account_pos, version from sealed order by pos")
    return [(row[0], row[1], row[2]) for row in rows]


async def head(tenant: Tenant) -> asyncpg.Record:
    row = await tenant.pool.fetchrow("select size, watermark, watermark_at, passes, passed_at, xmin::text from head")
    assert row is not None
    return row


@pytest.mark.parametrize("chunk", [1, 2, 3, 5_000])
async def test_positions_are_gapless_in_the_log_and_in_each_account(database: Database, chunk: int) -> None:
    async with tenant_of(database) as ours, tenant_of(database) as theirs:
        for tenant in (ours, theirs, ours):
            token = await tenant.issue()
            await tenant.ask(commands.Revoke, token.id, reason="leaked")
        assert await seal_all(database.app_url, chunk=chunk) == 6
        rows = await ours.pool.fetch("select pos, account_id, account_pos, version from sealed order by pos")
        assert [row["pos"] for row in rows] == [1, 2, 3, 4, 5, 6]
        assert [row["account_pos"] for row in rows if row["account_id"] == ours.account] == [1, 2, 3, 4]
        assert [row["account_pos"] for row in rows if row["account_id"] == theirs.account] == [1, 2]
        assert [row["version"] for row in rows] == [1, 2] * 3
        assert await seal_all(database.app_url, chunk=chunk) == 6


async def test_an_open_transaction_hides_nothing_and_its_events_come_after_its_commit(
    database: Database, tenant: Tenant
) -> None:
    first, second = await tenant.issue(), await tenant.issue()
    async with connected(database.app_url) as slow, sealing_on(database) as sealing:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute(WRITE, first.id, 2)
        for version in range(2, 5):
            await tenant.pool.execute(WRITE, second.id, version)
            assert (await sealing.step()).size == version + 1
            assert not await sealing.has_news()
        assert int((await head(tenant))["watermark"]) <= await slow.fetchval("select pg_current_xact_id()")
        await transaction.commit()
        assert await sealing.has_news()
        assert await sealing.step() == (1, 6, True)
        assert not await sealing.has_news()
    assert await places(tenant) == [(1, 1, 1), (2, 2, 1), (3, 3, 2), (4, 4, 3), (5, 5, 4), (6, 6, 2)]


async def test_a_rollback_leaves_no_gap(database: Database, tenant: Tenant) -> None:
    token = await tenant.issue()
    async with connected(database.app_url) as connection:
        for version in range(2, 6):
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(WRITE, token.id, version)
            await transaction.rollback()
            await connection.execute(WRITE, token.id, version)
    assert await seal_all(database.app_url) == 5
    assert await places(tenant) == [(n, n, n) for n in range(1, 6)]


@pytest.mark.parametrize("chunk", [2, 5_000])
async def test_a_version_out_of_order_is_refused_and_nothing_is_sealed(
    database: Database, tenant: Tenant, chunk: int
) -> None:
    token = await tenant.issue()
    await seal_all(database.app_url)
    before = await head(tenant)
    await tenant.pool.execute(WRITE, token.id, 3)
    async with sealing_on(database, chunk=chunk) as sealing:
        with pytest.raises(VersionOutOfOrder, match=f"{token.id} of account {tenant.account} has to be 2; it is 3"):
            await sealing.step()
    assert (await places(tenant), await head(tenant)) == ([(1, 1, 1)], before)
    await tenant.pool.execute(WRITE, token.id, 2)
    async with sealing_on(database, chunk=chunk) as sealing:
        with pytest.raises(VersionOutOfOrder, match="has to be 2; it is 3"):  # still: 3 was inserted before 2
            await sealing.step()


async def test_an_interrupted_backlog_continues_after_its_last_chunk(database: Database, tenant: Tenant) -> None:
    await written(tenant, 10)
    async with sealing_on(database, chunk=4) as cut_off:
        assert await cut_off.step() == (4, 4, False)
        assert await cut_off.step() == (4, 8, False)
    assert int((await head(tenant))["watermark"]) == 0  # only the last chunk moves it
    assert await seal_all(database.app_url, chunk=4) == 10
    assert await places(tenant) == [(n, n, n) for n in range(1, 11)]
    assert int((await head(tenant))["watermark"]) > 0


async def test_of_two_sealers_one_gives_up_its_backlog(database: Database, tenant: Tenant) -> None:
    token = await written(tenant, 10)
    async with sealing_on(database, chunk=3) as one, sealing_on(database, chunk=3) as other:
        assert await one.step() == (3, 3, False)
        assert await other.step() == (3, 6, False)
        await tenant.pool.execute(WRITE, token.id, 11)
        assert await one.step() == (3, 9, False)  # its new snapshot shows that the other sealer has sealed
        assert await other.step() == (2, 11, True)
        assert await one.step() == (0, 11, True)
    assert await places(tenant) == [(n, n, n) for n in range(1, 12)]


async def test_each_commit_announces_the_new_size_once_and_an_empty_pass_nothing(
    database: Database, tenant: Tenant
) -> None:
    await written(tenant, 5)
    heard: list[str] = []
    async with connected(database.app_url) as listening:
        await listening.add_listener(CHANNEL, lambda *said: heard.append(str(said[-1])))
        await seal_all(database.app_url, chunk=3)
        await seal_all(database.app_url, chunk=3)
        await listening.fetchval("select 1")
    assert heard == ["3", "5"]


async def test_looking_for_news_writes_nothing_and_a_pass_moves_the_watermark(
    database: Database, tenant: Tenant
) -> None:
    await written(tenant, 2)
    async with sealing_on(database) as sealing, connected(database.app_url) as other:
        await sealing.step()
        first = await head(tenant)
        newest = "select pg_snapshot_xmax(pg_current_snapshot())"
        xid = await other.fetchval(newest)
        for _ in range(5):
            assert not await sealing.has_news()
        assert await head(tenant) == first
        assert await other.fetchval(newest) == xid  # no transaction number is taken
        assert await sealing.step() == (0, 2, True)
        second = await head(tenant)
        assert (second["passes"], second["size"]) == (first["passes"] + 1, 2)
        assert second["watermark"] > first["watermark"]
        assert second["passed_at"] > first["passed_at"]
        assert second["watermark_at"] > first["watermark_at"]


async def test_the_watermark_ages_while_a_writing_transaction_stays_open(database: Database, tenant: Tenant) -> None:
    token = await tenant.issue()
    async with sealing_on(database) as sealing, connected(database.app_url) as slow:
        await sealing.step()
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute("select pg_current_xact_id()")
        await sealing.step()
        stood_at = (await head(tenant))["watermark_at"]
        for version in range(2, 5):
            await tenant.pool.execute(WRITE, token.id, version)
            assert (await sealing.step()).sealed == 1
            assert (await head(tenant))["watermark_at"] == stood_at
        await transaction.rollback()
        await sealing.step()
        assert (await head(tenant))["watermark_at"] > stood_at


async def test_the_watermark_stays_young_while_short_transactions_overlap(database: Database, tenant: Tenant) -> None:
    async with (
        sealing_on(database) as sealing,
        connected(database.app_url) as one,
        connected(database.app_url) as other,
    ):
        await one.execute("begin; select pg_current_xact_id()")
        stood: list[datetime] = []
        for old, new in [(one, other), (other, one)] * 100:  # one of the two is open at every moment
            await new.execute("begin; select pg_current_xact_id()")
            await sealing.step()
            await old.execute("rollback")
            await sealing.step()
            stood.append((await head(tenant))["watermark_at"])
            if len(set(stood)) == 8:  # other transactions on this server may hold it: not every turn moves it
                break
        assert stood == sorted(stood)
        assert len(set(stood)) == 8


# Far beyond, and just beyond the next number: a server that goes on counting reaches both one day.
@pytest.mark.parametrize("beyond", [2, 9_000_000_000])
async def test_a_watermark_of_another_server_hides_nothing(database: Database, tenant: Tenant, beyond: int) -> None:
    token = await tenant.issue()
    await seal_all(database.app_url)
    here = await tenant.pool.fetchval("select pg_snapshot_xmax(pg_current_snapshot())")
    await tenant.pool.execute("update head set watermark = $1, server = server + 1", here + beyond)
    await tenant.pool.execute(WRITE, token.id, 2)
    assert await seal_all(database.app_url) == 2
    assert int((await head(tenant))["watermark"]) < 9_000_000_000


@pytest.mark.parametrize("said", [0, 1, 3, 7])
async def test_a_head_that_differs_from_the_last_position_is_refused(
    database: Database, tenant: Tenant, said: int
) -> None:
    token = await written(tenant, 2)
    await seal_all(database.app_url)
    await tenant.pool.execute("update head set size = $1", said)
    await tenant.pool.execute(WRITE, token.id, 3)
    async with sealing_on(database) as sealing:
        with pytest.raises(HeadOutOfStep, match=f"has to be 2, the last position in sealed; it is {said}"):
            await sealing.step()
    assert await places(tenant) == [(1, 1, 1), (2, 2, 2)]
    await tenant.pool.execute("update head set size = 2")
    assert await seal_all(database.app_url) == 3
