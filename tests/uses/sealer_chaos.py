"""Chaos for the sealer: many writers, rollbacks, open transactions, and sealers that are killed without notice.

A test passes a function as `beside` to follow the log during a `storm`; it returns once it has seen the whole log as it
is when the given event is set.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from counterfoil.postgres.connection import Connection
from counterfoil_dev.postgres import Database
from uses.sealer_processes import sealer
from worker.workers import WorkerProcess

SUBJECTS = 40
SEALERS = 2
_PATIENCE_SECONDS = 60.0

_NEWEST = """
    select subject_id, version from event
     where account_id = $1 and subject_id = $2
     order by version desc limit 1"""
_APPEND = """
    insert into event (account_id, kind, subject_id, version, type, at, entry)
    values ($1, 'user', $2, $3, 'updated', clock_timestamp(), $4)"""


@dataclass
class Storm:
    """The accounts and the schedule of a storm."""

    database: Database
    accounts: Sequence[UUID]
    over: asyncio.Event = field(default_factory=asyncio.Event)
    subjects: list[tuple[UUID, UUID]] = field(default_factory=list)
    committed: int = 0
    rolled_back: int = 0

    def __post_init__(self) -> None:
        self.subjects = [(account, uuid7()) for account in self.accounts for _ in range(SUBJECTS)]

    async def write(self, seed: int) -> None:
        """Write events one by one, each after reading another one, and roll some of them back."""
        dice = random.Random(seed)
        connection = await asyncpg.connect(self.database.app_url)
        try:
            while not self.over.is_set():
                await self._transaction(connection, dice, longest=0.02)
                await asyncio.sleep(dice.uniform(0, 0.05))
        finally:
            await connection.close()

    async def dawdle(self, seed: int) -> None:
        """Leave transactions open that have written something."""
        dice = random.Random(seed)
        connection = await asyncpg.connect(self.database.app_url)
        own = (self.accounts[seed % len(self.accounts)], uuid7())
        try:
            while not self.over.is_set():
                await self._transaction(connection, dice, longest=4.0, own=own)
        finally:
            await connection.close()

    async def _transaction(
        self, connection: Connection, dice: random.Random, *, longest: float, own: tuple[UUID, UUID] | None = None
    ) -> None:
        account, subject = own or dice.choice(self.subjects)
        seen = await connection.fetchrow(_NEWEST, *dice.choice(self.subjects))
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("select pg_current_xact_id()")  # some wait for the subject with an older number
        if own is None:
            await asyncio.sleep(dice.uniform(0, longest))
        await connection.execute("select pg_advisory_xact_lock(hashtextextended($1::text, 0))", str(subject))
        newest = await connection.fetchrow(_NEWEST, account, subject)
        entry = msgspec.json.encode({"saw": [str(seen[0]), seen[1]] if seen else None}).decode()
        await connection.execute(_APPEND, account, subject, newest["version"] + 1 if newest else 1, entry)
        await asyncio.sleep(dice.uniform(0, longest))
        if dice.random() < 0.2:
            await transaction.rollback()
            self.rolled_back += 1
        else:
            await transaction.commit()
            self.committed += 1

    async def kill(self, directory: Path, *, kills: int, ending: ExitStack) -> list[Path]:
        """Kill one of the sealers again and again, each time after the log has grown, and start another at once."""
        dice = random.Random(kills)
        logs: list[Path] = []

        def start() -> WorkerProcess:
            logs.append(directory / f"sealer-{len(logs)}.log")
            return ending.enter_context(sealer(self.database.app_url, logs[-1]))

        async with await asyncpg.create_pool(self.database.app_url, min_size=1, max_size=1) as pool:
            running = [start() for _ in range(SEALERS)]
            for _ in range(kills):
                size = await _size(pool)
                await _until(partial(_grown, pool, size))
                await asyncio.sleep(dice.uniform(0, 0.5))
                leading = [each for each in running if each.said("lead_taken")]
                victim = dice.choice(leading or running) if dice.random() < 0.8 else dice.choice(running)
                victim.kill()
                running[running.index(victim)] = start()
            self.over.set()
        return logs


async def storm(
    database: Database,
    directory: Path,
    *,
    accounts: Sequence[UUID],
    writers: int,
    kills: int,
    beside: Callable[[asyncio.Event], Awaitable[object]] | None = None,
) -> Storm:
    """Run until the last sealer was killed and replaced, wait until everything is sealed, and check the log."""
    this = Storm(database, accounts)
    sealed = asyncio.Event()
    with ExitStack() as ending:
        async with AsyncExitStack() as watching:
            tasks = await watching.enter_async_context(asyncio.TaskGroup())
            if beside is not None:
                tasks.create_task(_watched(beside, sealed))
            writing = [tasks.create_task(this.write(seed)) for seed in range(writers)]
            writing += [tasks.create_task(this.dawdle(seed)) for seed in range(1 + writers // 10)]
            logs = await this.kill(directory, kills=kills, ending=ending)
            await asyncio.wait(writing)
            async with await asyncpg.create_pool(database.app_url, min_size=1, max_size=1) as pool:
                await _until(partial(_all_sealed, pool))
                sealed.set()
                await judge(pool)
    for log in logs:
        assert "critical" not in log.read_text()
        assert "Traceback" not in log.read_text()
    return this


async def judge(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Compare the sealed log with what was committed."""
    rows = await pool.fetch(
        """
        select s.pos, s.account_id, s.account_pos, s.subject_id, s.version, e.entry
          from sealed s
          join event e using (account_id, subject_id, version)
         order by s.pos"""
    )
    assert [row["pos"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == await pool.fetchval("select count(*) from event") == await _size(pool)
    versions: dict[tuple[UUID, UUID], list[int]] = {}
    positions: dict[UUID, list[int]] = {}
    place: dict[tuple[str, int], int] = {}
    for row in rows:
        positions.setdefault(row["account_id"], []).append(row["account_pos"])
        versions.setdefault((row["account_id"], row["subject_id"]), []).append(row["version"])
        place[str(row["subject_id"]), row["version"]] = row["pos"]
    assert all(found == list(range(1, len(found) + 1)) for found in (*positions.values(), *versions.values()))
    for row in rows:
        if saw := msgspec.json.decode(row["entry"]).get("saw"):
            assert place[saw[0], saw[1]] < row["pos"], "an effect stands before its cause"


async def _watched(beside: Callable[[asyncio.Event], Awaitable[object]], sealed: asyncio.Event) -> None:
    await beside(sealed)


async def _size(pool: "asyncpg.Pool[asyncpg.Record]") -> int:
    size: int = await pool.fetchval("select size from head")
    return size


async def _grown(pool: "asyncpg.Pool[asyncpg.Record]", size: int) -> bool:
    return await _size(pool) > size


async def _all_sealed(pool: "asyncpg.Pool[asyncpg.Record]") -> bool:
    return bool(await pool.fetchval("select (select count(*) from event) = (select size from head)"))


async def _until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await true():  # noqa: ASYNC110 - what other processes do
            await asyncio.sleep(0.05)
