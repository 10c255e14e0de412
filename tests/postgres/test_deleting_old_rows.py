"""Old rows are deleted in small steps, however many there are, and young rows stay."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from counterfoil.postgres import assertions, attempts, bulk_revocations, forgetting, idempotency_keys
from counterfoil.postgres.connection import Connection, Pool, open_pool
from counterfoil.postgres.forgetting import BATCH
from counterfoil_dev.postgres import Database

ACCOUNT = UUID(int=7)
MANY = 2 * BATCH + 5
BOUND = """
create function bound() returns trigger language plpgsql as $$
begin
    if (select count(*) from gone) > {batch} then
        raise exception 'too many at once';
    end if;
    return null;
end $$;
create trigger bound_deletes after delete on {table} referencing old table as gone
    for each statement execute function bound();
create trigger bound_updates after update on {table} referencing old table as gone
    for each statement execute function bound();
"""
OLD = {
    "replies": """insert into idempotency_key (account_id, key_digest, body_digest, at)
                  select $1, sha256(n::text::bytea), 'b', clock_timestamp() - $2 * interval '25 hours'
                    from generate_series(1, $3::integer) as n""",
    "secrets": """insert into idempotency_key (account_id, key_digest, body_digest, reply, holds_secret, at)
                  select $1, sha256(n::text::bytea), 'b', 'r', true, clock_timestamp() - $2 * interval '11 minutes'
                    from generate_series(1, $3::integer) as n""",
    "attempts": """insert into attempt (account_id, minute, kind, subject_id, network, count, last_at)
                   select $1, now() - $2 * interval '91 days', n::text, $1, 'unix', 1, now()
                     from generate_series(1, $3::integer) as n""",
    "assertions": """insert into accepted_assertion (account_id, token_id, digest, expires_at)
                     select $1, $1, sha256(n::text::bytea), clock_timestamp() - $2 * interval '61 minutes'
                       from generate_series(1, $3::integer) as n""",
    "parts": """insert into bulk_revocation_part (account_id, bulk_revocation_id, part, token_ids, staged_at)
                select $1, $1, n, '{}', now() - $2 * interval '25 hours'
                  from generate_series(1, $3::integer) as n""",
}
KINDS: dict[str, tuple[str, Callable[[Pool], Awaitable[int]]]] = {
    "replies": ("idempotency_key", idempotency_keys.forget),
    "secrets": ("idempotency_key", idempotency_keys.forget_secrets),
    "attempts": ("attempt", attempts.forget),
    "assertions": ("accepted_assertion", assertions.forget),
    "parts": ("bulk_revocation_part", bulk_revocations.forget_unaccepted),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_many_old_rows_are_deleted_in_parts(owner: Connection, pool: Pool, kind: str) -> None:
    table, forget = KINDS[kind]
    await owner.execute(OLD[kind], ACCOUNT, 1, MANY)
    await owner.execute(OLD[kind], UUID(int=8), 0, 3)
    await owner.execute(BOUND.format(batch=BATCH, table=table))
    assert await forget(pool) == MANY
    assert await forget(pool) == 0
    assert await owner.fetchval(f"select count(*) from {table}") == 3 + (MANY if kind == "secrets" else 0)


async def test_rows_that_exceed_the_time_are_left_for_the_next_call(
    owner: Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "LONGEST_SECONDS", 0)
    await owner.execute(OLD["replies"], ACCOUNT, 1, MANY)
    assert [await idempotency_keys.forget(pool) for _ in range(4)] == [BATCH, BATCH, 5, 0]


async def test_a_row_held_by_another_transaction_is_skipped(owner: Connection, pool: Pool) -> None:
    await owner.execute(OLD["replies"], ACCOUNT, 1, 10)
    async with owner.transaction():
        await owner.fetch("select from idempotency_key limit 1 for update")
        assert await idempotency_keys.forget(pool) == 9
    assert await idempotency_keys.forget(pool) == 1


@pytest.mark.parametrize("kind", ["replies", "secrets", "attempts"])
async def test_old_rows_are_found_without_reading_young_ones(database: Database, owner: Connection, kind: str) -> None:
    table, forget = KINDS[kind]
    await owner.execute(OLD[kind], ACCOUNT, 1, 100)
    await owner.execute(OLD[kind], UUID(int=8), 0, MANY)
    await owner.execute(f"analyze {table}")
    scans = f"select seq_scan from pg_stat_user_tables where relname = '{table}'"
    before = await owner.fetchval(scans)
    async with await open_pool(database.app_url, size=1) as pool:
        assert await forget(pool) == 100
    await asyncio.sleep(0.1)  # a closing connection reports its statistics
    assert await owner.fetchval(scans) == before
