"""A window of the log is read through an index, in log order, however long the log is and whenever it was planned."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest_asyncio

from counterfoil.postgres.connection import Pool, open_pool
from counterfoil.postgres.sealed_log import LOOKED_AT, LogFilter, head_of, window
from counterfoil_dev.postgres import OWNER, Database, Postgres

MANY = 50_000
ACCOUNT = UUID(int=0xACC)
BUSY = UUID(int=0xB)
"""A subject with every second event; all others have one."""
MIDST = MANY // 2

FILL = f"""
create temporary table filled as
select n, case n % 2 when 0 then '{BUSY}'::uuid else md5(n::text)::uuid end as subject_id,
       case n % 2 when 0 then n / 2 else 1 end as version
  from generate_series(1, {MANY}) as n;
insert into event (account_id, kind, subject_id, version, type, at, entry)
select '{ACCOUNT}', 'token', subject_id, version, 'exchanged', now(), '{{"by":{{"id":"nobody","kind":"user"}}}}'
  from filled
 order by n;
insert into sealed (pos, account_id, account_pos, subject_id, version)
select n, '{ACCOUNT}', n, subject_id, version
  from filled
 order by n;
update head set size = {MANY};
"""
HIDING = LogFilter(kinds=("user",), types=("created",), actors=(ACCOUNT,), since=datetime(2020, 1, 1, tzinfo=UTC))


@pytest_asyncio.fixture(scope="module")
async def long(postgres_server: Postgres, template: str) -> AsyncIterator[Database]:
    """A database whose tables are never vacuumed or analysed."""
    postgres_server.run(f"create database long owner {OWNER} template {template};")
    postgres_server.run("alter table sealed set (autovacuum_enabled = off);", database="long")
    postgres_server.run("alter table event set (autovacuum_enabled = off);", database="long")
    yield postgres_server.database("long")
    postgres_server.run("drop database long with (force);")


async def test_a_window_reads_only_its_own_rows(long: Database, postgres_server: Postgres) -> None:
    """Planned on empty tables, then on full ones without statistics, then on analysed ones."""
    async with await open_pool(long.app_url, size=1) as pool:
        await pool.execute("set plan_cache_mode = force_generic_plan")
        for account, wanted in READINGS:
            await window(pool, account, after=0, until=MANY, filter=wanted, limit=100)
        postgres_server.run(FILL, database="long")
        await _read_little(pool)
    async with await open_pool(long.app_url, size=1) as pool:
        await _read_little(pool)
    postgres_server.run("vacuum (analyze) sealed, event;", database="long")
    for planned in ("force_generic_plan", "force_custom_plan"):
        async with await open_pool(long.app_url, size=1) as pool:
            await pool.execute(f"set plan_cache_mode = {planned}")
            await _read_little(pool)


READINGS: list[tuple[UUID | None, LogFilter]] = [
    (ACCOUNT, LogFilter()), (ACCOUNT, LogFilter(subject=BUSY)), (None, LogFilter()),
    (ACCOUNT, HIDING), (ACCOUNT, replace(HIDING, subject=BUSY)), (None, HIDING), (None, LogFilter(subject=ACCOUNT)),
]  # fmt: skip


async def _read_little(pool: Pool) -> None:
    """From the middle of the log: a hundred events, or a window without any."""
    for account, wanted in READINGS:
        before = await _rows_read(pool)
        found = await window(pool, account, after=MIDST, until=MANY, filter=wanted, limit=100)
        rows = await _rows_read(pool) - before
        if found.events:
            step = 1 if wanted.subject is None else 2
            assert [each.position for each in found.events] == [MIDST + step * n for n in range(1, 101)]
            assert rows < 300, wanted
        else:
            looked_at = 2 * LOOKED_AT if account and wanted.subject else LOOKED_AT
            assert found.reached == MIDST + looked_at
            assert rows < 2 * LOOKED_AT + 100, wanted
    assert await head_of(pool, ACCOUNT) == await head_of(pool, None) == MANY


async def _rows_read(pool: Pool) -> int:
    """How many rows of the log have been read so far, with or without an index."""
    await pool.fetchval("select pg_stat_force_next_flush()")
    await pool.fetchval("select pg_stat_clear_snapshot()")
    rows: int = await pool.fetchval(
        "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint from pg_stat_user_tables"
        " where relname in ('sealed', 'event')"
    )
    return rows
