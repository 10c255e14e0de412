"""A page of a hundred is read through an index, however many tokens an account has."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from counterfoil.core.cliffs import RULE, CliffRule
from counterfoil.core.subjects.bulk_revocation import Children
from counterfoil.postgres.alerts import expiring_within, unannounced
from counterfoil.postgres.connection import Connection, Pool, open_pool
from counterfoil.postgres.descent import children_of
from counterfoil.postgres.forecast import crowd_of, forecast_of
from counterfoil.postgres.listing import EVERY, Filter, Sort, numbered_page, page_of
from counterfoil.postgres.selection import Look, look
from counterfoil_dev.postgres import OWNER, Database, Postgres

MANY = 100_000
ACCOUNT = UUID(int=0xACC)
CREATOR = UUID(hashlib.md5(b"creator 7").hexdigest())
FEW_BUFFERS = 1_200
"""A hundred rows, three or four pages of token_use and one of owner_quota each, and the way down the index."""

# A third of the tokens has expired, a third never expires, and every second one was verified.
FILL = f"""
insert into token
      (account_id, token_id, number, owner_type, owner_id, creator_kind, creator_id, name, description,
       scopes, metadata, status, lifetime, expires_at, lifetime_start, thresholds, announced, next_due_at, created_at,
       updated_at, last_exchanged_at, generation, previous_until, hint, dialect, cloned_from, reason, revision,
       version, at, leaf, epoch, previous_epoch)
select '{ACCOUNT}', md5(n::text)::uuid, n, 'service', 'owner ' || n % 100, 'user',
       md5('creator ' || n % 100)::uuid,
       'token ' || md5(n::text), '', '["mail.send"]', '{{}}', 'active', null,
       case n % 3 when 0 then now() - n * interval '1 minute' when 1 then now() + n * interval '1 minute' end,
       now(), '[]', null, null, now(), now(), null, 1, null, 'cfl_service_ab', 'native', null, null, 1, 1, now(),
       sha256('leaf'), 0, 0
  from generate_series(1, {MANY}) as n;
insert into token_use
select account_id, token_id, current_date - d, 1, 1, now() from token, generate_series(1, 3) as d where number % 2 = 0;
"""


class Explaining:
    """A pool with one connection that explains each query instead of executing it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.plan: dict[str, Any] = {}

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["Explaining"]:
        yield self

    async def execute(self, statement: str) -> None:
        await self._connection.execute(statement)

    async def fetch(self, query: str, *arguments: object, **_: object) -> list[asyncpg.Record]:
        said = await self._connection.fetchval(f"explain (analyze, buffers, format json) {query}", *arguments)
        self.plan = json.loads(said)[0]["Plan"]
        return []

    async def fetchval(self, query: str, *arguments: object) -> int:
        await self.fetch(query, *arguments)
        return 0

    async def fetchrow(self, query: str, *arguments: object, **_: object) -> dict[str, object]:
        await self.fetch(query, *arguments)
        look = {**dict.fromkeys(Look.__struct_fields__, 0), "digest": b"", "owners": "[]", "used_last": "[]"}
        now = datetime.now(UTC)
        return {**look, "at": now, "days": None, "cliffs": f'[["{(now + timedelta(hours=1)).isoformat()}", 9]]'}


@pytest_asyncio.fixture(scope="module")
async def crowded(postgres_server: Postgres, template: str) -> AsyncIterator[Database]:
    """A database with one account of very many tokens."""
    postgres_server.run(f"create database crowded owner {OWNER} template {template};")
    postgres_server.run(FILL, database="crowded")
    postgres_server.run("vacuum (analyze) token, token_use;", database="crowded")
    yield postgres_server.database("crowded")
    postgres_server.run("drop database crowded with (force);")


@pytest.mark.parametrize("planned", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("sort", "index"),
    [
        ("created", "token_by_creation"),
        ("name", "token_by_name"),
        ("expires", "token_by_expiry"),
        ("number", "numbers_name_one_token"),
    ],
)
async def test_any_page_in_an_indexed_order_is_read_through_the_index(
    crowded: Database, sort: Sort, index: str, planned: str, *, descending: bool
) -> None:
    async with await open_pool(crowded.app_url, size=1) as pool, pool.acquire() as connection:
        await connection.execute(f"set plan_cache_mode = {planned}")
        for place in (None, await middle(cast("Connection", connection), sort)):
            explaining = Explaining(cast("Connection", connection))
            await page_of(
                cast("Pool", explaining), ACCOUNT, Filter(), sort=sort, descending=descending, after=place, limit=100
            )
            assert index in indexes(explaining.plan)
            assert buffers(explaining.plan) < FEW_BUFFERS


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("sort", "index"), [("name", "token_by_name"), ("expires", "token_by_expiry"), ("number", "numbers_name_one_token")]
)
async def test_the_first_numbered_pages_are_read_through_the_index(
    crowded: Database, sort: Sort, index: str, *, descending: bool
) -> None:
    connection = await asyncpg.connect(crowded.app_url)
    explaining = Explaining(connection)
    wanted = Filter(stored_status=("active", "suspended"), sessions=False)
    await numbered_page(
        cast("Pool", explaining), ACCOUNT, wanted, sort=sort, descending=descending, offset=0, limit=100
    )
    await connection.close()
    assert index in indexes(explaining.plan)
    assert buffers(explaining.plan) < FEW_BUFFERS


async def middle(connection: Connection, sort: Sort) -> list[object]:
    """A position in the middle of the list."""
    token = await connection.fetchrow(
        """
        select token_id::text, created_at::text as created, name, expires_at::text as expires, number::text
          from token
         where account_id = $1 and number = $2""",
        ACCOUNT,
        MANY // 2 + 2,
    )
    assert token is not None
    return [token[sort], token["token_id"]]


@pytest.mark.parametrize(
    ("wanted", "sort", "index"),
    [
        (Filter(status="active"), "expires", "token_by_expiry"),
        (Filter(expires_after=datetime.now(UTC) + timedelta(days=30)), "expires", "token_by_expiry"),
        (Filter(expires_after="30d"), "expires", "token_by_expiry"),
        (Filter(status="active", expires_before="1h"), "expires", "token_by_expiry"),
        (Filter(expires_before=datetime(2000, 1, 1, tzinfo=UTC)), "expires", "token_by_expiry"),
        (Filter(name="token ff*"), "name", "token_by_name"),
        (Filter(name="nobody has this name*"), "created", "token_by_name"),
        (Filter(owner_id="owner 7"), "created", "token_by_owner"),
        (Filter(creator=CREATOR), "created", "token_by_creator"),
        (Filter(creator=CREATOR, status="active"), "created", "token_by_creator"),
        (Filter(creator=UUID(int=7)), "expires", "token_by_creator"),
    ],
)
async def test_filters_start_at_their_position_in_the_index(
    crowded: Database, wanted: Filter, sort: Sort, index: str
) -> None:
    """A query does not walk through all tokens that expired long ago, or through all other names."""
    connection = await asyncpg.connect(crowded.app_url)
    explaining = Explaining(connection)
    await page_of(cast("Pool", explaining), ACCOUNT, wanted, sort=sort, descending=False, after=None, limit=100)
    await connection.close()
    assert index in indexes(explaining.plan)
    assert buffers(explaining.plan) < FEW_BUFFERS


@pytest.mark.parametrize("planned", ["force_custom_plan", "force_generic_plan"])
async def test_tokens_of_a_creator_are_found_through_the_index_at_any_depth(crowded: Database, planned: str) -> None:
    """A thousand of a hundred thousand, without the tokens that they created."""
    connection = await asyncpg.connect(crowded.app_url)
    await connection.execute(f"set plan_cache_mode = {planned}")
    explaining = Explaining(connection)
    pool = cast("Pool", explaining)
    await children_of(pool, ACCOUNT, CREATOR, owner=None)
    assert indexes(explaining.plan) == {"token_by_creator"}
    assert buffers(explaining.plan) < 2 * FEW_BUFFERS
    await look(pool, ACCOUNT, Filter(creator=CREATOR), itself=ACCOUNT, children=Children(made_by=CREATOR))
    read = [(node["Node Type"], node["Relation Name"]) for node in nodes(explaining.plan) if "Relation Name" in node]
    assert ("Seq Scan", "token") not in read
    assert {"token_by_creator", "token_by_owner"} <= indexes(explaining.plan)
    assert buffers(explaining.plan) < 30 * FEW_BUFFERS
    await connection.close()


def indexes(plan: dict[str, Any]) -> set[str]:
    return {node["Index Name"] for node in nodes(plan) if "Index Name" in node}


def buffers(plan: dict[str, Any]) -> int:
    found: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return found


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@pytest.mark.parametrize("planned", ["force_custom_plan", "force_generic_plan"])
async def test_soon_expiring_tokens_are_found_through_the_index(crowded: Database, planned: str) -> None:
    """Of a hundred thousand tokens, the few that expire within an hour and those without a notice."""
    connection = await asyncpg.connect(crowded.app_url)
    await connection.execute(f"set plan_cache_mode = {planned}")
    explaining = Explaining(connection)
    hour, at = timedelta(hours=1), datetime.now(UTC)
    for window in (hour / 2, hour):
        pool = cast("Pool", explaining)
        await expiring_within(pool, ACCOUNT, window, at=at, after=None, limit=100, kept=hour)
        assert "token_by_expiry" in indexes(explaining.plan)
        assert not {node["Node Type"] for node in nodes(explaining.plan)} & {"Seq Scan"}
        assert buffers(explaining.plan) < FEW_BUFFERS
    await unannounced(cast("Pool", explaining), ACCOUNT)
    assert "token_by_expiry" in indexes(explaining.plan)
    await connection.close()


@pytest.mark.parametrize("planned", ["force_custom_plan", "force_generic_plan"])
async def test_a_forecast_reads_only_the_tokens_that_expire_in_its_days(crowded: Database, planned: str) -> None:
    """At most 480 of a hundred thousand tokens in a day, and 40 in the slots of an hour around a cliff."""
    connection = await asyncpg.connect(crowded.app_url)
    await connection.execute(f"set plan_cache_mode = {planned}")
    explaining = Explaining(connection)
    pool = cast("Pool", explaining)
    await forecast_of(pool, ACCOUNT, wanted=EVERY, days=1, rule=RULE)
    assert "token_by_expiry" in indexes(explaining.plan)
    assert not {node["Node Type"] for node in nodes(explaining.plan)} & {"Seq Scan"}
    assert buffers(explaining.plan) < 4 * FEW_BUFFERS
    hourly = CliffRule(timedelta(hours=1), 2, 1)
    await crowd_of(pool, ACCOUNT, wanted=EVERY, movable=EVERY, days=1, rule=hourly)
    assert "token_by_expiry" in indexes(explaining.plan)
    assert not {node["Node Type"] for node in nodes(explaining.plan)} & {"Seq Scan"}
    assert buffers(explaining.plan) < FEW_BUFFERS
    await connection.close()
