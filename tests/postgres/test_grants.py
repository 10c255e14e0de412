"""Migrating gives each role its rights and policies, and names who can do it where the migrating role cannot."""

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.grants import PRIVILEGES, READER, UnknownRole
from counterfoil.postgres.migrate import migrate
from counterfoil.postgres.tenant_connection import tenant
from counterfoil_dev.postgres import APPLICATION, OWNER, Database, Postgres
from postgres.tenant import tenant_of
from postgres.test_row_level_security import WITHOUT_ROWS_OF_ACCOUNTS, seen

TABLES = sorted(set(PRIVILEGES) - WITHOUT_ROWS_OF_ACCOUNTS)


async def rows_seen(url: str) -> int:
    """How many rows of all accounts a role sees that may select from every table."""
    connection = await asyncpg.connect(url)
    counts = [await connection.fetchval(f"select count(*) from {table}") for table in TABLES]
    await connection.close()
    return sum(counts)


async def test_a_new_role_sees_no_rows_though_it_was_granted_all(database: Database, postgres_server: Postgres) -> None:
    async with tenant_of(database) as somebody:
        await somebody.issue()
    postgres_server.run("create role curious login;")
    postgres_server.run("grant select on all tables in schema public to curious;", database=database.name)
    try:
        assert await rows_seen(database.owner_url) > 0
        assert await rows_seen(postgres_server.url("curious", database.name)) == 0
    finally:
        postgres_server.run("drop owned by curious;", database=database.name)
        postgres_server.run("drop role curious;")


async def test_migrating_again_repairs_policies_and_changes_nothing_else(
    database: Database, postgres_server: Postgres
) -> None:
    def policies() -> str:
        return postgres_server.run(
            "select tablename, policyname, roles, cmd, qual, with_check from pg_policies order by 1, 2;"
            "select relname, relrowsecurity from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
            " order by 1;",
            database=database.name,
        )

    before = policies()
    oids = "select string_agg(oid::text, ',' order by oid) from pg_policy;"
    status = postgres_server.run(oids, database=database.name)
    await migrate(database.owner_url, app_role=APPLICATION)
    assert postgres_server.run(oids, database=database.name) == status
    postgres_server.run(
        """
        alter table token disable row level security;
        drop policy tenant on event;
        create policy everybody on token for select to public using (true);
        alter policy tenant on token_use using (true);
        """,
        database=database.name,
    )
    assert policies() != before
    await migrate(database.owner_url, app_role=APPLICATION)
    assert policies() == before


async def test_a_role_that_cannot_grant_the_reader_is_told_who_can_and_how(
    postgres_server: Postgres, template: str
) -> None:
    postgres_server.run("create role another_app login;")
    postgres_server.run(f"create database lent owner {OWNER} template {template};")
    url = postgres_server.url(OWNER, "lent")
    with pytest.raises(UnknownRole, match=rf"grant {READER} to .*another_app"):
        await migrate(url, app_role="another_app")
    postgres_server.run(f"alter role {OWNER} createrole; grant {READER} to {OWNER} with admin option;")
    try:
        await migrate(url, app_role="another_app")
        async with (
            await open_pool(postgres_server.url("another_app", "lent"), size=1) as pool,
            tenant(pool, uuid7()) as connection,
        ):
            assert await seen(connection, "token") == set()
    finally:
        postgres_server.run(f"alter role {OWNER} nocreaterole; revoke {READER} from {OWNER} cascade;")
        postgres_server.run("drop database lent with (force);")
        postgres_server.run("drop role another_app;")


async def test_migrating_again_gives_an_older_role_its_missing_rights(database: Database) -> None:
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(f"revoke delete on token_use from {APPLICATION}")
    await migrate(database.owner_url, app_role=APPLICATION)
    async with await open_pool(database.app_url, size=1) as pool:
        assert await pool.execute("delete from token_use") == "DELETE 0"
    await owner.close()
