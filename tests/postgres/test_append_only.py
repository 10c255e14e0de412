"""The database itself, not only the code, makes the log append-only."""

from collections import defaultdict
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from counterfoil.core.subjects.token import commands
from counterfoil.postgres.connection import Connection
from counterfoil.postgres.grants import PRIVILEGES, READABLE, READER
from counterfoil_dev.postgres import APPLICATION, OWNER, Database, Postgres
from postgres.sealing import seal_all
from postgres.tenant import tenant_of

REWRITES = [
    "update event set entry = '{}'",
    "update event set type = 'created'",
    "update event set at = at + interval '1 second'",
    "update event set version = version + 10",
    "update event set xid = '1'",
    "update event set epoch = 1",
    "update event set private = '{}', salt = 'x'",
    "update event set private = null, salt = null, type = 'revoked'",
    "delete from event",
    "truncate event",
    "update secret set generation = generation + 1",
    "update secret set token_id = account_id",
    "delete from secret",
    "truncate secret",
    "update sealed set pos = pos + 10",
    "update sealed set account_pos = account_pos + 10",
    "delete from sealed",
    "truncate sealed",
]


@pytest_asyncio.fixture
async def written(database: Database) -> AsyncIterator[Database]:
    """A database with the history of one token."""
    async with tenant_of(database) as tenant:
        token = await tenant.issue(description="of somebody")
        await tenant.ask(commands.Revoke, token.id, reason="leaked")
    await seal_all(database.app_url)
    yield database


@pytest_asyncio.fixture
async def owner(written: Database) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(written.owner_url)
    yield connection
    await connection.close()


async def _history(connection: Connection) -> list[tuple[object, ...]]:
    tables = ("event order by version", "secret", "sealed order by pos")
    return [tuple(row) for table in tables for row in await connection.fetch(f"select * from {table}")]


async def _is_refused(connection: Connection, complaint: type[asyncpg.PostgresError]) -> None:
    """Every kind of rewriting is refused on this connection and changes nothing."""
    before = await _history(connection)
    for rewrite in REWRITES:
        with pytest.raises(complaint):
            await connection.execute(rewrite)
    assert await _history(connection) == before
    await connection.close()


async def test_the_application_has_no_right_to_rewrite(written: Database) -> None:
    await _is_refused(await asyncpg.connect(written.app_url), asyncpg.InsufficientPrivilegeError)


async def test_the_database_refuses_rewriting_by_its_owner(written: Database) -> None:
    await _is_refused(await asyncpg.connect(written.owner_url), asyncpg.RestrictViolationError)


async def test_a_replication_role_is_refused_too(written: Database, postgres_server: Postgres) -> None:
    url = postgres_server.url("postgres", written.name)
    replica = await asyncpg.connect(url, server_settings={"session_replication_role": "replica"})
    await _is_refused(replica, asyncpg.RestrictViolationError)


async def test_only_erasing_a_private_part_with_its_salt_is_allowed(owner: Connection) -> None:
    before = await owner.fetch("select entry, version, xid::text from event order by version")
    assert await owner.execute("update event set private = null, salt = null where version = 1") == "UPDATE 1"
    rows = await owner.fetch("select private, salt from event order by version")
    assert (rows[0]["private"], rows[0]["salt"]) == (None, None)
    assert rows[1]["private"]
    assert await owner.fetch("select entry, version, xid::text from event order by version") == before
    for half in ("private", "salt"):
        with pytest.raises(asyncpg.PostgresError):
            await owner.execute(f"update event set {half} = null where version = 2")
    with pytest.raises(asyncpg.RestrictViolationError):
        await owner.execute("update event set private = '{}', salt = 'x' where version = 1")


@pytest.mark.parametrize("forged", ["xid", "ins_seq"])
async def test_the_database_assigns_the_columns_that_order_the_log(written: Database, forged: str) -> None:
    connection = await asyncpg.connect(written.app_url)
    first = await connection.fetchval(f"select {forged}::text from event where version = 2")
    await connection.execute(
        "insert into event (account_id, kind, subject_id, version, type, at, entry)"
        " select account_id, kind, subject_id, 3, type, at, entry from event where version = 2"
    )
    assert int(await connection.fetchval(f"select {forged}::text from event where version = 3")) > int(first)
    await connection.close()


async def test_grants_are_exactly_what_is_documented(owner: Connection) -> None:
    rows = await owner.fetch(
        """
        select c.relname, lower(a.privilege_type) as privilege
          from pg_class c, aclexplode(c.relacl) a
         where c.relnamespace = 'public'::regnamespace
           and c.relkind <> 'S'
           and a.grantee = $1::regrole""",
        APPLICATION,
    )
    granted = defaultdict(set)
    for row in rows:
        granted[row["relname"]].add(row["privilege"])
    assert granted == {table: set(privileges.split(", ")) for table, privileges in PRIVILEGES.items()}
    assert granted["event"] == granted["secret"] == granted["sealed"] == {"select", "insert"}


async def test_no_other_role_has_a_right_to_a_table_except_the_reader_to_read(owner: Connection) -> None:
    others = await owner.fetch(
        """
        select c.relname, a.grantee::regrole::text, a.privilege_type
          from pg_class c, aclexplode(c.relacl) a
         where c.relnamespace = 'public'::regnamespace
           and a.grantee not in ($1::regrole, $2::regrole)
         order by c.relname""",
        APPLICATION, OWNER,
    )  # fmt: skip
    columns = await owner.fetch("select attname from pg_attribute where attacl is not null and attrelid > 16384")
    assert [tuple(row) for row in others] == [(table, READER, "SELECT") for table in sorted(READABLE)]
    assert columns == []


async def test_the_application_owns_nothing_and_can_create_nothing(written: Database, owner: Connection) -> None:
    assert await owner.fetchval("select count(*) from pg_class where relowner = $1::regrole", APPLICATION) == 0
    assert not await owner.fetchval("select pg_has_role($1, $2, 'member')", APPLICATION, OWNER)
    connection = await asyncpg.connect(written.app_url)
    for making in (
        "create table mine (id integer)",
        "create schema mine",
        "create trigger mine before insert on event for each row execute function refuse_rewriting()",
        "alter table event disable trigger all",
        "alter table event enable replica trigger event_is_never_updated",
        "drop trigger event_is_never_updated on event",
        "set session_replication_role = replica",
        "create rule quietly as on insert to event do instead nothing",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(making)
    await connection.close()
