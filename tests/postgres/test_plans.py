"""The hot path uses indexes, however many rows there are, even if its statements were planned on empty tables."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest_asyncio
from uuid_utils.compat import uuid7

from counterfoil.core.secret import mint
from counterfoil.core.subjects.token import commands
from counterfoil.idempotency import claim
from counterfoil.postgres import batch
from counterfoil.postgres.connection import Connection, connect
from counterfoil_dev.postgres import Database
from postgres.tenant import PEPPERS, Tenant, tenant_of

MANY = 100_000

_FILL = f"""
insert into token
      (account_id, token_id, number, owner_type, owner_id, creator_kind, creator_id, name, description,
       scopes, metadata, status, lifetime, expires_at, lifetime_start, thresholds, announced, next_due_at, created_at,
       updated_at, last_exchanged_at, generation, previous_until, hint, dialect, cloned_from, reason, revision,
       version, at, leaf, epoch, previous_epoch)
select gen_random_uuid(), gen_random_uuid(), n, owner_type, owner_id, creator_kind, creator_id, name, description,
       scopes, metadata, status, lifetime, expires_at, lifetime_start, thresholds, announced, next_due_at, created_at,
       updated_at, last_exchanged_at, generation, previous_until, hint, dialect, cloned_from, reason, revision, version,
       at, leaf, epoch, previous_epoch
  from token, generate_series(1, {MANY}) as n;
insert into secret
select sha256(token_id::text::bytea), account_id, token_id, 1, 1 from token where number > 1;
insert into event (account_id, kind, subject_id, version, type, at, entry)
select account_id, 'token', token_id, 1, 'created', at, '{{}}' from token where number > 1;
insert into idempotency_key (account_id, key_digest, body_digest)
select account_id, sha256(token_id::text::bytea), 'body' from token;
insert into subject (account_id, subject_id, kind, name, details, created_at, version, at, leaf, number, status,
                     updated_at, revision)
select md5((number % 7)::text)::uuid, token_id, 'user', null, '{{}}', created_at, 1, at, leaf, null, 'active', at, 1
  from token where number % 10 = 0;
"""


@pytest_asyncio.fixture
async def prepared(database: Database) -> AsyncIterator[Connection]:
    """A connection of the hot path."""
    connection = await connect(database.app_url)
    yield connection
    await connection.close()


async def _ask_everything(tenant: Tenant, times: int = 1) -> None:
    for turn in range(times):
        secret = mint("service")
        token = await tenant.issue(secret=secret)
        await tenant.exchange(token)
        asked = claim(PEPPERS, tenant.admin, f"{token.id}", request=(b"",), holds_secret=True)
        suspend = commands.Suspend(account=tenant.account, id=token.id, by=tenant.admin)
        for _ in range(2):
            await tenant.door.execute(suspend, asked, lambda _: b"reply")
        await tenant.ask(commands.Resume, token.id)
        await asyncio.gather(
            *(
                tenant.door.execute(
                    commands.ExchangeSecret(digests=PEPPERS.digests(secret), jti=uuid7(), lifetime_seconds=60)
                )
                for _ in range(turn + 1)
            )
        )


async def test_the_door_uses_indexes_whenever_its_statements_were_planned(
    database: Database, prepared: Connection
) -> None:
    statements = [await prepared.prepare(sql) for sql in (*batch._TAKE.values(), batch._APPEND)]
    owner = await asyncpg.connect(database.owner_url)
    async with tenant_of(database) as tenant:
        await _ask_everything(tenant)
        for statement in statements:
            _looks_up_keys(await _plan(prepared, statement))
        await owner.execute(_FILL)
        before = await _read(owner)
        await _ask_everything(tenant, times=10)
    await asyncio.sleep(0.1)  # a closing connection reports its statistics
    after = await _read(owner)
    assert {table: counts[0] for table, counts in after.items()} == {
        table: counts[0] for table, counts in before.items()
    }
    assert {table: found for table in after if (found := after[table][1] - before[table][1]) >= MANY // 50} == {}
    await owner.execute("analyze")
    for statement in statements:
        _looks_up_keys(await _plan(prepared, statement))
    await owner.close()


def _looks_up_keys(plan: dict[str, Any]) -> None:
    read = [node for node in _nodes(plan) if "Relation Name" in node and node["Node Type"] != "ModifyTable"]
    assert read
    for node in read:
        assert node["Node Type"] in {"Index Scan", "Index Only Scan"}, node
        assert node["Index Name"].endswith("_pkey"), node
        assert node["Index Cond"], node


async def _read(owner: Connection) -> dict[str, tuple[int, int]]:
    """How often each table was scanned sequentially, and how many rows were found through its indexes."""
    rows = await owner.fetch("select relname, seq_scan, idx_tup_fetch from pg_stat_user_tables")
    return {row["relname"]: (row["seq_scan"], row["idx_tup_fetch"] or 0) for row in rows}


async def _plan(connection: Connection, statement: "asyncpg.prepared_stmt.PreparedStatement[Any]") -> dict[str, Any]:
    nulls = ", ".join("null" for _ in statement.get_parameters())
    found = await connection.fetchval(f"explain (format json) execute {statement.get_name()}({nulls})")
    plan: dict[str, Any] = json.loads(found)[0]["Plan"]
    return plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)
