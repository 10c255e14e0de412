"""Row-level security stands behind every `where account_id = …` of ours."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from uuid_utils.compat import uuid7

from counterfoil.core.subjects.token import commands
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres.alerts import alerts_of
from counterfoil.postgres.connection import Pool, open_pool
from counterfoil.postgres.grants import PRIVILEGES, READABLE, READER
from counterfoil.postgres.last_used import add
from counterfoil.postgres.listing import Filter, one, page_of
from counterfoil.postgres.tenant_connection import Tenant, tenant
from counterfoil.postgres.timeline import changes_until, events_of
from counterfoil_dev.postgres import APPLICATION, Database
from postgres import tenant as tenants
from postgres.sealing import seal_all

WITHOUT_ROWS_OF_ACCOUNTS = {"follower", "head", "migration"}


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Two accounts in one database, each with a used token."""

    database: Database
    pool: Pool
    ours: Token
    theirs: Token


@pytest_asyncio.fixture
async def neighbours(database: Database) -> AsyncIterator[Neighbours]:
    async with tenants.tenant_of(database) as one_of_two, tenants.tenant_of(database) as other:
        ours = await one_of_two.issue(name="ours", lifetime="12h", thresholds=(86_400,))
        other.numbers = one_of_two.numbers
        theirs = await other.issue(name="theirs", lifetime="12h", thresholds=(86_400,))
        uses = [(token.account, token.id, token.at.date(), 1, 1, token.at) for token in (ours, theirs)]
        await add(one_of_two.pool, uses)
        await seal_all(database.app_url)
        yield Neighbours(database, one_of_two.pool, ours, theirs)


async def seen(connection: Tenant, table: str) -> set[UUID]:
    """The accounts whose rows a statement without an account filter sees."""
    return {row["account_id"] for row in await connection.fetch(f"select account_id from {table}")}


async def test_a_statement_without_an_account_filter_sees_only_one_account(neighbours: Neighbours) -> None:
    both = {neighbours.ours.account, neighbours.theirs.account}
    for table in ("event", "sealed", "token", "token_use"):
        async with neighbours.pool.acquire() as connection:
            assert await seen(connection, table) == both
        for account in both:
            async with tenant(neighbours.pool, account) as connection:
                assert await seen(connection, table) == {account}


async def test_without_an_account_nothing_is_seen(neighbours: Neighbours) -> None:
    async with tenant(neighbours.pool, neighbours.ours.account) as connection:
        assert await seen(connection, "token")
    async with neighbours.pool.acquire() as connection, connection.transaction():
        await connection.execute(f"set local role {READER}")
        for setting in (None, "set local counterfoil.account = ''", "reset counterfoil.account"):
            if setting:
                await connection.execute(setting)
            for table in READABLE:
                assert await seen(connection, table) == set()
        await connection.execute("set local counterfoil.account = '*'")
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await connection.fetch("select account_id from token")


class Forgetful:
    """A pool that removes every account filter from statements, as a faulty change might."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.asked: list[str] = []

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        async with self._pool.acquire() as self._connection:
            yield self

    async def execute(self, statement: str) -> None:
        await self._connection.execute(statement)

    async def fetch(self, statement: str, *given: object) -> Any:
        return await self._connection.fetch(self._careless(statement), *given)

    async def fetchrow(self, statement: str, *given: object) -> Any:
        return await self._connection.fetchrow(self._careless(statement), *given)

    async def fetchval(self, statement: str, *given: object) -> Any:
        return await self._connection.fetchval(self._careless(statement), *given)

    def _careless(self, statement: str) -> str:
        careless = re.sub(r"\b(\w\.)?account_id = \$1", "$1::uuid is not null", statement)
        careless = careless.replace("($1, r.token_id)", "(t.account_id, r.token_id)")
        careless = careless.replace("(account_id, subject_id, version) =", "($1::uuid, subject_id, version) =")
        assert careless != statement
        self.asked.append(careless)
        return careless


async def everything(pool: Pool, account: UUID, token: Token) -> list[object]:
    """All queries about the tokens of an account, with the id of one."""
    asked: list[object] = [
        *await page_of(pool, account, Filter(), sort="created", descending=False, after=None, limit=10),
        await one(pool, account, token_id=token.id),
        await one(pool, account, number=token.number),
        *await events_of(pool, account, token.id, after=0, limit=10),
        *await changes_until(pool, account, token.id, version=1),
        *await changes_until(pool, account, token.id, at=token.at),
        *await alerts_of(pool, account, after=None, limit=10),
    ]
    return [each for each in asked if each is not None]


async def test_a_missing_account_filter_shows_nothing_of_other_accounts(neighbours: Neighbours) -> None:
    ours, theirs = neighbours.ours, neighbours.theirs
    async with tenants.tenant_of(neighbours.database) as asking:
        asking.account = theirs.account
        await asking.door.execute(commands.Sweep(account=theirs.account, id=theirs.id, by=asking.admin))
    for account, own in ((theirs.account, True), (ours.account, False)):
        forgetful = Forgetful(neighbours.pool)
        shown = await everything(cast("Pool", forgetful), account, theirs)
        foreign = [each for each in shown if str(theirs.id) in str(each) or isinstance(each, int)]
        assert bool(foreign) == own, foreign
        assert len(forgetful.asked) >= 7
    # Without row-level security the fault would show: the same statement by the application's role finds the token.
    async with Forgetful(neighbours.pool).acquire() as connection:
        query = "select token_id from token where account_id = $1 and token_id = $2"
        assert await connection.fetchrow(query, ours.account, theirs.id)


@pytest.mark.parametrize(
    "said", ["x' or true --", "x'; set local role counterfoil_app; --", "' union select * from token"]
)
async def test_no_argument_of_a_caller_widens_what_they_see(neighbours: Neighbours, said: str) -> None:
    account = neighbours.ours.account
    wanted = Filter(name=said, owner_id=said, scope=said)
    assert await page_of(neighbours.pool, account, wanted, sort="name", descending=False, after=None, limit=9) == []
    for place in ([said, str(uuid7())], ["x", said]):
        try:
            page = await page_of(
                neighbours.pool, account, Filter(), sort="name", descending=False, after=list(place), limit=9
            )
        except asyncpg.DataError:
            continue
        assert {each.token.account for each in page} <= {account}
    with pytest.raises(AttributeError):
        async with tenant(neighbours.pool, cast("UUID", said)):
            pass


async def test_an_injected_condition_is_limited_to_the_account(neighbours: Neighbours) -> None:
    async with tenant(neighbours.pool, neighbours.ours.account) as connection:
        for injected in ("or true", "or account_id is not null", f"or account_id = '{neighbours.theirs.account}'"):
            rows = await connection.fetch(f"select account_id from token where name = 'x' {injected}")
            assert {row["account_id"] for row in rows} <= {neighbours.ours.account}
    for second in (f"; set local counterfoil.account = '{neighbours.theirs.account}'", "; reset role", "; commit"):
        async with tenant(neighbours.pool, neighbours.ours.account) as connection:
            with pytest.raises(asyncpg.PostgresSyntaxError, match="multiple commands"):
                await connection.fetch(f"select 1{second}; select account_id from token")


@pytest.mark.parametrize("table", sorted(set(PRIVILEGES) - set(READABLE)))
async def test_the_reader_may_read_only_its_tables(neighbours: Neighbours, table: str) -> None:
    async with tenant(neighbours.pool, neighbours.ours.account) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"select from {table}")


async def test_the_reader_changes_nothing(neighbours: Neighbours) -> None:
    for table in READABLE:
        for change in (f"update {table} set account_id = account_id", f"delete from {table}", f"truncate {table}"):
            async with tenant(neighbours.pool, neighbours.ours.account) as connection:
                with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
                    await connection.execute(change)
    async with neighbours.pool.acquire() as connection, connection.transaction():  # even in a writing transaction
        await connection.execute(f"set local role {READER}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("update token set name = name")


async def test_role_and_account_end_with_the_transaction(neighbours: Neighbours) -> None:
    async with await open_pool(neighbours.database.app_url, size=1) as pool:
        for failing in ("select 1", "select 1 / 0", "select no_such_column from token"):
            try:
                async with tenant(pool, neighbours.ours.account) as connection:
                    await connection.fetch(failing)
            except asyncpg.PostgresError:
                pass
            row = await pool.fetchrow("select current_user, current_setting('counterfoil.account', true) as account")
            assert row is not None
            assert tuple(row) in ((APPLICATION, ""), (APPLICATION, None))
            async with tenant(pool, neighbours.theirs.account) as connection:
                assert await seen(connection, "token") == {neighbours.theirs.account}


async def test_a_cancelled_reader_leaves_nothing_behind(neighbours: Neighbours) -> None:
    async with await open_pool(neighbours.database.app_url, size=1) as pool:

        async def slow() -> None:
            async with tenant(pool, neighbours.ours.account) as connection:
                await connection.fetch("select pg_sleep(60)")

        for times in range(1, 4):  # cancelled at its begin, during its query, and at its end
            asking = asyncio.create_task(slow())
            for _ in range(times):
                await asyncio.sleep(0.02)
                asking.cancel()
            await asyncio.wait([asking])
            assert asking.cancelled() or asking.exception()
            assert await pool.fetchval("select current_user") == APPLICATION
            assert {row["account_id"] for row in await pool.fetch("select account_id from token")} == {
                neighbours.ours.account, neighbours.theirs.account,
            }  # fmt: skip


async def test_every_table_with_accounts_is_guarded(database: Database) -> None:
    connection = await asyncpg.connect(database.owner_url)
    tables = await connection.fetch(
        """
        select c.relname, c.relrowsecurity, c.relforcerowsecurity,
               exists (select from pg_attribute a
                        where a.attrelid = c.oid and a.attname = 'account_id' and a.attnotnull) as of_accounts,
               array(select p.polname::text from pg_policy p where p.polrelid = c.oid order by 1) as policies
          from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')"""
    )
    await connection.close()
    assert {row["relname"] for row in tables} == set(PRIVILEGES)
    assert {row["relname"] for row in tables if not row["of_accounts"]} == WITHOUT_ROWS_OF_ACCOUNTS
    for row in tables:
        expected = [] if row["relname"] in WITHOUT_ROWS_OF_ACCOUNTS else ["application"]
        expected += ["tenant"] if row["relname"] in READABLE else []
        assert (row["relrowsecurity"], row["policies"]) == (bool(expected), expected), row["relname"]
        assert not row["relforcerowsecurity"]  # otherwise a migration by the owner would silently see no rows
