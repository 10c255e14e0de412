"""A migration under a running worker costs at most one repetition: no call fails, and nothing is done twice."""

import asyncio

import asyncpg
import pytest
import uuid_utils.compat as uuids
from structlog.testing import capture_logs

from counterfoil.core.subjects.bulk_revocation import AcceptBulkRevocation
from counterfoil.door import Door
from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.followers import begin
from counterfoil.postgres.listing import Filter
from counterfoil.postgres.selection import look, stage
from counterfoil.uses.follower import follow
from counterfoil_dev.postgres import Database
from counterfoil_worker.bulk_revocations import BulkRevocations
from counterfoil_worker.forgetting import Forgetter
from counterfoil_worker.sweep import Sweeper
from postgres.sealing import seal_all
from worker.counting import counting, make_tables
from worker.token_lifetimes import ACCOUNT, ROOT, born, told_of

CHANGES = [
    ("token", "name", "varchar(200)"), ("token", "generation", "bigint"), ("subject", "details", "varchar(900000)"),
    ("event", "entry", "varchar(900000)"), ("bulk_revocation_part", "part", "bigint"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column", "kind"), CHANGES)
async def test_a_column_of_another_type_stops_no_work(database: Database, table: str, column: str, kind: str) -> None:
    await make_tables(database)
    owner = await asyncpg.connect(database.owner_url)
    async with await open_pool(database.app_url, size=4) as pool, Door(database.app_url) as door:
        sweeper, jobs, forgetter = (
            Sweeper(pool, door, grace_notice_seconds=60),
            BulkRevocations(pool, door),
            Forgetter(pool),
        )
        follower = counting()
        await begin(pool, follower.name, at_head=False)
        handled = 0
        for turn in range(2):
            expired, ended = await born(door, ends_in=1.0), await born(door, ends_in=3600.0)
            wanted, job = Filter(owner_id="billing"), uuids.uuid7()
            plan = (await look(pool, ACCOUNT, wanted, itself=job)).digest
            total = (await stage(pool, ACCOUNT, wanted, revocation=job, digest=plan)).tokens
            await door.execute(
                AcceptBulkRevocation(
                    account=ACCOUNT, id=job, by=ROOT, plan="00", total=total, reason="leaked", filter={}
                )
            )
            with capture_logs() as lines:
                while not await told_of(database.app_url, expired):  # it expires within a second
                    await sweeper.work()
                    await asyncio.sleep(0.1)
                for _ in range(2):
                    await jobs.work()
                await forgetter.work()
                size = await seal_all(database.app_url)
                while some := await follow(pool, follower):
                    handled += some
            assert await told_of(database.app_url, expired) == ["expired", "revoked"]
            assert await owner.fetchval("select status from token where token_id = $1", ended.id) == "revoked"
            assert handled == size
            assert not [line for line in lines if line["log_level"] in ("error", "critical")]
            if not turn:
                await owner.execute(f"alter table {table} alter column {column} type {kind}")
    await owner.close()
