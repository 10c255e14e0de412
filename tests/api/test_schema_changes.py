"""A migration under running processes costs no request its answer and makes no answer wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest
from aiohttp import ClientSession

from api.service import Answer, Caller, founded, served, settings_for
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import OWNER, Database, Postgres


class Beside(NamedTuple):
    """A running service with a token, and a connection of the owner of its tables."""

    admin: Caller
    token: str
    secret: str
    moment: str
    owner: asyncpg.Connection

    def reads(self) -> list[str]:
        of_token = f"/v1/tokens/{self.token}"
        return [
            "/v1/tokens", of_token, "/v1/tokens/self", f"{of_token}/events", f"{of_token}?as_of={self.moment}",
            "/v1/users", "/v1/users/1", "/v1/users/1/events", "/v1/account", "/v1/account/events", "/v1/alerts",
            "/v1/alerts?within=7d", "/v1/reads", "/v1/attempts", "/v1/revocations", "/v1/scopes", "/v1/scope-sets",
            "/v1/events", "/v1/events?type=created", f"/v1/events?token={self.token}", "/readyz",
        ]  # fmt: skip

    def writes(self, name: str) -> list[Callable[[], Awaitable[Answer]]]:
        holder = self.admin.with_token(self.secret)
        return [
            lambda: self.admin.post("/v1/tokens", {"name": name, "scopes": ["a.b"]}),
            lambda: self.admin.patch(f"/v1/tokens/{self.token}", {"description": name}),
            lambda: holder.post("/v1/exchange", {}),
            lambda: self.admin.form("/v1/introspect", token=self.secret),
            lambda: self.admin.post("/v1/revocations/plan", {"filter": {"name": "no*body"}}),
            lambda: self.admin.post("/v1/users", {"email": f"{name}@example.org", "role": "member"}),
        ]


@pytest.fixture
async def beside(database: Database, tmp_path: Path) -> AsyncIterator[Beside]:
    settings = settings_for(database.app_url)
    ours = await founded(settings, "ours", tmp_path)
    owner = await asyncpg.connect(database.owner_url)
    async with served(make_app(settings), sealed=database.app_url) as url, ClientSession(url) as session:
        admin = Caller(session, f"Bearer {ours['admin_token']}")
        issued = await admin.issue(scopes=["a.b"], lifetime="1h")
        yield Beside(admin, issued["token"]["id"], issued["secret"], issued["token"]["created_at"], owner)
    await owner.close()


async def failures(beside: Beside, name: str) -> list[tuple[str, int, bytes]]:
    """Send every request twice; return the failed answers."""
    found = []
    for path in [*beside.reads(), *beside.reads()]:
        answer = await beside.admin.get(path)
        if answer.status != 200:
            found.append((path, answer.status, answer.body))
    for ask in beside.writes(name):
        answer = await ask()
        if answer.status not in (200, 201):
            found.append((name, answer.status, answer.body))
    return found


CHANGES = {
    "token": [("number", "integer", "bigint"), ("name", "varchar(200)", "text"), ("owner_id", "varchar(400)", "text")],
    "subject": [("number", "integer", "bigint"), ("details", "varchar(900000)", "text")],
    "event": [("entry", "varchar(900000)", "text"), ("type", "varchar(90)", "text")],
    "attempt": [("kind", "varchar(90)", "text")],
    "token_use": [("generation", "bigint", "integer")],
    "secret": [("generation", "bigint", "integer")],
}


@pytest.mark.parametrize("table", CHANGES)
async def test_a_column_of_another_type_costs_no_request_its_answer(beside: Beside, table: str) -> None:
    assert await failures(beside, "before") == []
    for column, wider, before in CHANGES[table]:
        for number, kind in enumerate((wider, before)):
            await beside.owner.execute(f"alter table {table} alter column {column} type {kind}")
            assert await failures(beside, f"{column}-{number}".replace("_", "-")) == [], (column, kind)


async def waits_for_a_lock(owner: asyncpg.Connection, request: asyncio.Task[Answer]) -> bool:
    """Return whether a connection waits for a lock; some requests need no row of the table and are answered."""
    while not request.done():
        if await owner.fetchval("select count(*) from pg_locks where not granted"):
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize("table", ["token", "event", "subject"])
async def test_a_request_that_waits_for_a_rewritten_table_sees_its_rows(beside: Beside, table: str) -> None:
    of_token = f"/v1/tokens/{beside.token}"
    paths = ["/v1/tokens", of_token, f"{of_token}/events", f"{of_token}?as_of={beside.moment}", "/v1/users",
             "/v1/account/events", "/v1/alerts?within=7d"]  # fmt: skip
    for path in paths:
        before = await beside.admin.get(path)
        async with beside.owner.transaction():
            # A default that differs between rows makes Postgres rewrite the whole table.
            await beside.owner.execute(f"alter table {table} add column padding float default random()")
            request = asyncio.create_task(beside.admin.get(path))
            waited = await waits_for_a_lock(beside.owner, request)
        after = await request
        assert (after.status, items(after)) == (200, items(before)), (path, waited)
        await beside.owner.execute(f"alter table {table} drop column padding")


def items(answer: Answer) -> int:
    """The number of items in an answer."""
    return len(answer.json.get("items", ["itself"]))


@pytest.mark.parametrize("table", ["subject", "token_use"])
async def test_a_request_that_deadlocks_with_a_migration_is_retried(
    beside: Beside, postgres_server: Postgres, table: str
) -> None:
    postgres_server.run(f"grant set on parameter deadlock_timeout to {OWNER};")
    await beside.owner.execute("set deadlock_timeout = '1min'")  # so that Postgres cancels the other one
    async with beside.owner.transaction():
        await beside.owner.execute(f"lock table {table} in access exclusive mode")
        request = asyncio.create_task(beside.admin.get("/v1/tokens"))
        assert await waits_for_a_lock(beside.owner, request)
        await beside.owner.execute("lock table token in access exclusive mode")  # held by each waiting request
    assert (await request).status == 200


STATEMENTS = [
    "alter table token alter column generation type bigint",
    "alter table token alter column generation type integer",
    "alter table subject alter column name type varchar(900)",
    "alter table subject alter column name type text",
    "alter table event add column padding float default random()",
    "alter table event drop column padding",
    "alter table token add column padding float default random()",
    "alter table token drop column padding",
    "create index concurrently padding on token (name)",
    "reindex index concurrently padding",
    "drop index concurrently padding",
    "alter table token add constraint padding check (number > 0) not valid",
    "alter table token validate constraint padding",
    "alter table token drop constraint padding",
    "vacuum full subject",
    "reindex table token",
    "reindex table concurrently secret",
]


async def patiently(owner: asyncpg.Connection, statement: str) -> None:
    """Migrate as `migrate` does: wait briefly for users of a table, then let them go on."""
    async with asyncio.timeout(60):
        while True:
            try:
                await owner.execute(statement)
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                await owner.execute("rollback")
                await asyncio.sleep(0.1)
                if statement.startswith("create index concurrently"):  # its unfinished index remains, invalid
                    await owner.execute("set lock_timeout = 0")
                    await owner.execute("drop index concurrently if exists padding")
                    await owner.execute("set lock_timeout = '300ms'")
            else:
                return


async def test_migrations_under_load_cost_no_caller_an_answer(beside: Beside) -> None:
    bad, names, ended = list[tuple[object, ...]](), list[str](), asyncio.Event()
    in_all = items(await beside.admin.get("/v1/tokens"))

    async def read(paths: list[str]) -> None:
        while not ended.is_set():
            for path in paths:
                answer = await beside.admin.get(path)
                if answer.status != 200 or (path == "/v1/tokens?limit=1" and items(answer) != 1):
                    bad.append((path, answer.status, answer.body[:200]))

    async def write(who: int) -> None:
        turn = 0
        while not ended.is_set():
            turn += 1
            for ask in beside.writes(f"w{who}-{turn}"):
                answer = await ask()
                if answer.status not in (200, 201):
                    bad.append((who, answer.status, answer.body[:200]))
            names.append(f"w{who}-{turn}")

    paths = [*beside.reads(), "/v1/tokens?limit=1"]
    busy = [asyncio.create_task(read(paths[start::3])) for start in range(3)]
    busy += [asyncio.create_task(write(who)) for who in range(2)]
    await beside.owner.execute("set lock_timeout = '300ms'")
    for statement in STATEMENTS:
        await patiently(beside.owner, statement)
        await asyncio.sleep(0.05)
    ended.set()
    await asyncio.gather(*busy)
    assert bad == []
    made = await beside.owner.fetch("select name from token where name like 'w%'")
    assert sorted(row["name"] for row in made) == sorted(names)  # each once: none lost and none repeated
    assert await beside.owner.fetchval("select count(*) from token") == in_all + len(names)
