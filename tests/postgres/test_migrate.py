"""Migrations are applied once, in order, and never edited; rights are limited to what the application needs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from counterfoil.postgres.grants import PRIVILEGES, UnknownRole
from counterfoil.postgres.migrate import (
    DatabaseAhead,
    EditedMigration,
    Migration,
    TableHeld,
    known_migrations,
    migrate,
    read_migrations,
)
from counterfoil_dev.postgres import APPLICATION, OWNER, Database, Postgres

FIRST = Migration(1, "0001_cheques.sql", "create table cheque (n int); create table stub (n int);")
SECOND = Migration(2, "0002_fill.sql", "insert into cheque values (1), (2);")
CONCURRENT = Migration(3, "0003_index.sql", "-- no-transaction\ncreate index concurrently cheque_by_n on cheque (n);")
WIDER = Migration(2, "0002_wider.sql", "alter table cheque add column m int;")
BROKEN = Migration(2, "0002_broken.sql", "insert into cheque values (1); select no_such_function();")


@pytest.fixture
def empty(postgres_server: Postgres) -> Database:
    """A database that was never migrated."""
    postgres_server.run(f"drop database if exists empty with (force);\ncreate database empty owner {OWNER};")
    return postgres_server.database("empty")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def applied(database: Database, *migrations: Migration) -> list[str]:
    return await migrate(database.owner_url, app_role=None, migrations=migrations)


async def cheques(database: Database) -> int:
    async with connected(database.owner_url) as connection:
        count: int = await connection.fetchval("select count(*) from cheque")
        return count


async def test_each_migration_is_applied_once_and_in_order(empty: Database) -> None:
    assert await applied(empty, FIRST) == ["0001_cheques.sql"]
    assert await applied(empty, FIRST, SECOND) == ["0002_fill.sql"]
    assert await applied(empty, FIRST, SECOND) == []
    assert await cheques(empty) == 2


async def test_a_failed_migration_leaves_no_trace_and_earlier_ones_stay(empty: Database) -> None:
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await applied(empty, FIRST, BROKEN)
    assert await cheques(empty) == 0
    assert await applied(empty, FIRST, SECOND) == ["0002_fill.sql"]


async def test_an_index_may_be_built_outside_a_transaction(empty: Database) -> None:
    assert await applied(empty, FIRST, SECOND, CONCURRENT) == [each.name for each in (FIRST, SECOND, CONCURRENT)]


async def test_an_edited_migration_is_refused(empty: Database) -> None:
    await applied(empty, FIRST)
    with pytest.raises(EditedMigration, match=r"0001_cheques.sql"):
        await applied(empty, replace(FIRST, sql=FIRST.sql + " "), SECOND)
    assert await cheques(empty) == 0


async def test_a_database_ahead_of_the_code_is_refused(empty: Database) -> None:
    await applied(empty, FIRST, SECOND)
    with pytest.raises(DatabaseAhead, match=r"0002_fill.sql"):
        await applied(empty, FIRST)


async def test_simultaneous_runs_apply_each_migration_once(empty: Database) -> None:
    runs = await asyncio.gather(*(applied(empty, FIRST, SECOND, CONCURRENT) for _ in range(6)))
    assert sorted(map(len, runs)) == [0, 0, 0, 0, 0, 3]
    assert await cheques(empty) == 2


@asynccontextmanager
async def reading(database: Database, first: str = "select from cheque") -> AsyncIterator[asyncpg.Connection]:
    """A reader with an open transaction for as long as the block runs, like an audit."""
    async with connected(database.owner_url) as reader:
        await reader.execute("set application_name = 'a long audit'; begin")
        await reader.execute(first)
        yield reader


async def longest_pause(database: Database, over: asyncio.Event) -> float:
    """Write until the task ends; return the longest wait of a write, in seconds."""
    longest, loop = 0.0, asyncio.get_running_loop()
    async with connected(database.owner_url) as writer:
        while not over.is_set():
            began = loop.time()
            await writer.execute("insert into cheque (n) values (1)")
            longest = max(longest, loop.time() - began)
            await asyncio.sleep(0.01)
    return longest


async def test_a_migration_that_waits_for_a_long_reader_stops_nobody_else(empty: Database) -> None:
    await applied(empty, FIRST)
    over = asyncio.Event()
    async with reading(empty) as reader:
        migrating = asyncio.create_task(applied(empty, FIRST, WIDER))
        writing = asyncio.create_task(longest_pause(empty, over))
        await asyncio.sleep(3)
        assert not migrating.done()
        await reader.execute("commit")
        assert await migrating == ["0002_wider.sql"]
    over.set()
    assert await writing < 1.5


async def test_a_session_that_keeps_a_table_locked_is_named_and_nothing_is_applied(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterfoil.postgres.migrate._TRIES", 2)
    await applied(empty, FIRST)
    async with reading(empty) as reader:
        holder = rf"process {reader.get_server_pid()} \(a long audit\)"
        with pytest.raises(
            TableHeld, match=rf"0002_wider.sql was tried 2 times and was rolled back: .* locked by {holder}"
        ):
            await applied(empty, FIRST, WIDER)
    assert await applied(empty, FIRST, WIDER) == ["0002_wider.sql"]


async def test_granting_rights_waits_for_a_long_reader_too(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("counterfoil.postgres.migrate._TRIES", 1)
    async with connected(database.owner_url) as connection:
        await connection.execute("alter table event disable row level security")
    async with reading(database, "select from event"):
        with pytest.raises(TableHeld, match=r"granting rights .* \(a long audit\)"):
            await migrate(database.owner_url, app_role=APPLICATION)
    await migrate(database.owner_url, app_role=APPLICATION)


async def test_an_index_built_outside_a_transaction_is_never_left_half_built(empty: Database) -> None:
    await applied(empty, FIRST, SECOND)
    async with reading(empty, "insert into cheque values (3)") as writer:
        migrating = asyncio.create_task(applied(empty, FIRST, SECOND, CONCURRENT))
        await asyncio.sleep(1)
        await writer.execute("commit")
        assert await migrating == ["0003_index.sql"]
        assert await writer.fetchval("select indisvalid from pg_index where indexrelid = 'cheque_by_n'::regclass")


async def test_the_role_of_the_application_must_exist(empty: Database) -> None:
    with pytest.raises(UnknownRole, match="no_such_role"):
        await migrate(empty.owner_url, app_role="no_such_role")


def test_migration_numbers_are_unique(tmp_path: Path) -> None:
    (tmp_path / "0001_first.sql").write_text("select 1")
    (tmp_path / "0003_third.sql").write_text("select 3")
    assert [each.number for each in read_migrations(tmp_path)] == [1, 3]
    (tmp_path / "0003_another.sql").write_text("select 3")
    with pytest.raises(ValueError, match="same number"):
        read_migrations(tmp_path)


def test_migration_files_are_named_by_number_and_words(tmp_path: Path) -> None:
    (tmp_path / "first.sql").write_text("select 1")
    with pytest.raises(ValueError, match=r"NNNN_name.sql"):
        read_migrations(tmp_path)


def test_our_migrations_are_found() -> None:
    assert known_migrations()[0].number == 1


async def test_every_unique_key_contains_the_account(database: Database) -> None:
    """All tables except those of the log and the look-up by digest can be distributed by account."""
    async with connected(database.owner_url) as connection:
        rows = await connection.fetch(
            """
            select i.indrelid::regclass::text as name, array_agg(a.attname::text) as columns
              from pg_index i
              join pg_class c on c.oid = i.indrelid and c.relnamespace = 'public'::regnamespace
              join pg_attribute a on a.attrelid = i.indexrelid
             where i.indisunique
             group by i.indexrelid, i.indrelid"""
        )
    without = {row["name"]: row["columns"] for row in rows if "account_id" not in row["columns"]}
    assert without.pop("secret") == ["digest"]
    assert without.pop("migration") == ["number"]
    assert all("log_id" in columns for columns in without.values())
    assert without.keys() == {"sealed", "head", "follower"}


async def test_every_table_has_exactly_its_rights(database: Database) -> None:
    async with connected(database.owner_url) as connection:
        rows = await connection.fetch(
            """
            select c.relname as name, coalesce(string_agg(lower(p.privilege_type), ', '), '') as rights
              from pg_class c
              left join lateral aclexplode(c.relacl) p on p.grantee = $1::regrole
             where c.relnamespace = 'public'::regnamespace
               and c.relkind in ('r', 'p', 'v', 'm')
             group by c.relname
            """,
            APPLICATION,
        )
    found = {row["name"]: set(row["rights"].split(", ")) for row in rows}
    assert found == {table: set(rights.split(", ")) for table, rights in PRIVILEGES.items()}


@pytest.mark.parametrize("table", ["event", "secret"])
@pytest.mark.parametrize("change", ["update {} set account_id = account_id", "delete from {}", "truncate {}"])
async def test_the_application_cannot_rewrite_history(database: Database, table: str, change: str) -> None:
    async with connected(database.app_url) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(change.format(table))


async def test_the_application_cannot_make_or_change_tables(database: Database) -> None:
    async with connected(database.app_url) as connection:
        for change in ("create table mine (n int)", "alter table event disable trigger all", "drop table event"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(change)


async def test_migrating_again_revokes_rights_granted_by_hand(database: Database) -> None:
    async with connected(database.owner_url) as connection:
        await connection.execute(f"grant delete on event to {APPLICATION}")
        await migrate(database.owner_url, app_role=APPLICATION)
        assert not await connection.fetchval("select has_table_privilege($1, 'event', 'delete')", APPLICATION)
