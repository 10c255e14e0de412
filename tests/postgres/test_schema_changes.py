"""How reads are written, so that a concurrent migration makes them fail at most once."""

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg

import counterfoil
from counterfoil.door import Door
from counterfoil.postgres.connection import open_pool
from counterfoil.uses.audit.progress import Tally
from counterfoil.uses.audit.whole_log import replay
from counterfoil_dev.postgres import Database
from door.asking import create

STORES = Path(counterfoil.__file__).parent / "postgres"
ASKING = ("fetch", "fetchrow", "fetchval", "cursor")


def readers() -> Iterator[tuple[str, ast.AsyncFunctionDef, ast.AsyncWith]]:
    """Yield every function that borrows a tenant's connection, and its location."""
    for file in sorted(STORES.glob("*.py")):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(function, ast.AsyncFunctionDef) and file.name != "tenant.py":
                for block in ast.walk(function):
                    if isinstance(block, ast.AsyncWith) and _calls(block.items[0].context_expr) in ("tenant", "moment"):
                        yield f"{file.stem}.{function.name}", function, block


def _calls(expression: ast.expr) -> str:
    return ast.unparse(expression.func) if isinstance(expression, ast.Call) else ""


def test_every_read_for_a_tenant_is_repeated() -> None:
    bare = {
        name
        for name, function, _ in readers()
        if not {"repeated", "asynccontextmanager"} & {ast.unparse(each) for each in function.decorator_list}
    }
    assert bare == set()
    assert len(list(readers())) > 20


def test_a_read_for_a_tenant_with_several_statements_names_its_tables() -> None:
    careless = set()
    for name, _, block in readers():
        borrowed = block.items[0].context_expr
        assert isinstance(borrowed, ast.Call)
        used = [node for node in ast.walk(block) if isinstance(node, ast.Name) and node.id == "connection"]
        sets = [node for node in ast.walk(block) if isinstance(node, ast.Attribute) and node.attr == "execute"]
        if len(used) - len(sets) > 2 and len(borrowed.args) < 3:  # one is the bound name
            careless.add(name)
    assert careless == set()


async def test_a_single_statement_is_repeated(database: Database) -> None:
    owner = await asyncpg.connect(database.owner_url)
    statement = "select count(*) as tokens, min(name) as name, min(generation) as generation from token"
    async with await open_pool(database.app_url, size=1) as pool:
        for kind in ("bigint", "integer"):
            await pool.fetchrow(statement)
            await owner.execute(f"alter table token alter column generation type {kind}")
            row = await pool.fetchrow(statement)
            assert row is not None
            assert row["tokens"] == 0
    await owner.close()


async def test_an_audit_that_waits_for_a_rewritten_table_sees_all_of_it(database: Database) -> None:
    async with Door(database.app_url) as door:
        await door.execute(create())
    owner = await asyncpg.connect(database.owner_url)
    async with owner.transaction():
        await owner.execute("alter table event add column padding float default random()")
        tally = Tally(lambda _done, _total: None)
        auditing = asyncio.create_task(_audited(database, tally))
        while not await owner.fetchval("select count(*) from pg_locks where not granted"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await auditing == []
    await owner.close()


async def _audited(database: Database, tally: Tally) -> list[object]:
    return [finding async for finding in replay(database.app_url, tally)]
