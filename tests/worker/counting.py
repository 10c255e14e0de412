"""A follower for tests: it records each position and counts the events of each account in its own tables."""

import asyncio
import os
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from counterfoil.postgres.followers import LoggedEvent, Transaction
from counterfoil.uses.follower import Follower
from counterfoil_dev.postgres import APPLICATION, Database

log = structlog.get_logger()

SCRIPT: Final = """
from counterfoil.settings import Settings
from counterfoil_worker.actors import JOBS
from counterfoil_worker.followers import follower_jobs
from counterfoil_worker.main import run
from worker.counting import counting

others = [job for job in JOBS if job.name != "follow"]
run(Settings.from_environment(command="worker"), (*others, *follower_jobs([counting()])))
"""
"""A worker process that runs this follower and no other; COUNTING_PAUSE are seconds between a batch and its commit."""


def counting(name: str = "counting", *, batch_size: int = 50, from_now: bool = False) -> Follower:
    """The follower; followers of other names have separate records."""
    pause = float(os.environ.get("COUNTING_PAUSE", "0"))

    async def apply(connection: Transaction, batch: Sequence[LoggedEvent]) -> None:
        await connection.executemany(
            "insert into handled (follower, position) values ($1, $2)", [(name, event.position) for event in batch]
        )
        await connection.executemany(
            """
            insert into counted values ($1, $2, 1)
                on conflict (follower, account_id) do update set events = counted.events + 1""",
            [(name, event.fact.account) for event in batch],
        )
        log.info("applied", first=batch[0].position, last=batch[-1].position)
        await asyncio.sleep(pause)

    return Follower(name=name, apply=apply, batch_size=batch_size, from_now=from_now)


async def make_tables(database: Database) -> None:
    """Create the tables of the follower."""
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(
        f"""
        create table handled (place bigint generated always as identity, follower text, position bigint);
        create table counted (follower text, account_id uuid, events bigint, primary key (follower, account_id));
        grant select, insert, update on handled, counted to {APPLICATION}"""
    )
    await owner.close()


async def handled(database: Database, name: str = "counting") -> list[int]:
    """The handled positions in the order of handling, with repetitions."""
    owner = await asyncpg.connect(database.owner_url)
    try:
        rows = await owner.fetch("select position from handled where follower = $1 order by place", name)
    finally:
        await owner.close()
    return [row["position"] for row in rows]


async def counted(database: Database, name: str = "counting") -> dict[UUID, int]:
    """The number of events of each account."""
    owner = await asyncpg.connect(database.owner_url)
    try:
        rows = await owner.fetch("select account_id, events from counted where follower = $1", name)
    finally:
        await owner.close()
    return {row["account_id"]: row["events"] for row in rows}
