import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from counterfoil.core.subjects.token.commands import Revoke
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres.connection import Pool, open_pool
from counterfoil.postgres.forgetting import BATCH
from counterfoil.postgres.last_used import FIRST, Place, add, forget, last_use
from counterfoil.postgres.listing import one
from counterfoil.postgres.lookup import Seen
from counterfoil.postgres.migrate import migrate
from counterfoil.uses.last_used import PRECISION_SECONDS, Uses
from counterfoil_dev.postgres import APPLICATION, Database, Postgres, embedded_postgres
from counterfoil_dev.state import temporary_state
from forked import Forked
from postgres.tenant import BILLING, Tenant, tenant_of
from postgres.verifier import verify

SLACK_SECONDS = 1
"""What a busy machine may take for the write itself."""
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
# One token with very many old days, and very many with two, each with a latest one that is old as well.
MANY_USES = f"""
insert into token
      (account_id, token_id, number, owner_type, owner_id, creator_kind, creator_id, name, description,
       scopes, metadata, status, lifetime, expires_at, lifetime_start, thresholds, announced, next_due_at, created_at,
       updated_at, last_exchanged_at, generation, previous_until, hint, dialect, cloned_from, reason, revision,
       version, at, leaf, epoch, previous_epoch)
select account_id, md5(n::text)::uuid, number + n, owner_type, owner_id, creator_kind, creator_id, name, description,
       scopes, metadata, status, lifetime, expires_at, lifetime_start, thresholds, announced, next_due_at, created_at,
       updated_at, last_exchanged_at, generation, previous_until, hint, dialect, cloned_from, reason, revision, version,
       at, leaf, epoch, previous_epoch
  from token, generate_series(1, 20000) as n;
insert into token_use
select account_id, token_id, current_date - 400 - d, 1, 1, now() - d * interval '1 day'
  from token, generate_series(1, 3) as d where number > 1;
insert into token_use
select account_id, token_id, current_date - 400 - d, 1, 1, now() - d * interval '1 day'
  from token, generate_series(0, {2 * BATCH}) as d where number = 1;
analyze token, token_use;
"""
LATEST = f"select array_agg({last_use('t')} order by token_id) from token t"
SCANS = "select sum(seq_scan) from pg_stat_user_tables where relname in ('token', 'token_use')"


def seen(token: Token, at: datetime = NOON) -> Seen:
    """The row that a look-up of this token found at this moment."""
    return seen_of(token.account, token.id, at)


def seen_of(account: UUID, token_id: UUID, at: datetime) -> Seen:
    return Seen(
        account=account, id=token_id, number=1, owner=BILLING, scopes=(), status="active", expires_at=None,
        generation=1, epoch=0, previous_until=None, previous_epoch=0, created_at=NOON, lifetime_start=NOON,
        thresholds=(), at=at, presented=1,
    )  # fmt: skip


async def count(pool: Pool, token: Token) -> int:
    found: int = await pool.fetchval(
        "select coalesce(sum(count), 0)::bigint from token_use where account_id = $1 and token_id = $2",
        token.account,
        token.id,
    )
    return found


async def last_used(pool: Pool, token: Token) -> datetime | None:
    listed = await one(pool, token.account, token_id=token.id)
    assert listed is not None
    return listed.last_used_at


async def test_a_token_used_once_is_recorded_as_used_after_a_clean_stop(database: Database) -> None:
    async with tenant_of(database) as tenant:
        token = await tenant.issue()
        assert await last_used(tenant.pool, token) is None
        async with Uses(tenant.pool) as uses:
            uses.note(seen(token), 1)
        assert await last_used(tenant.pool, token) == NOON


async def test_a_use_is_written_within_its_precision(database: Database) -> None:
    async with tenant_of(database) as tenant:
        token = await tenant.issue()
        async with Uses(tenant.pool) as uses:
            uses.note(seen(token), 1)
            async with asyncio.timeout(PRECISION_SECONDS + SLACK_SECONDS):
                while await last_used(tenant.pool, token) != NOON:  # noqa: ASYNC110 - Postgres has no event for it
                    await asyncio.sleep(0.05)


async def test_a_hundred_thousand_verifications_are_one_write(database: Database) -> None:
    async with tenant_of(database) as tenant:
        tokens = [await tenant.issue() for _ in range(10)]
        looks = [seen(token, NOON + timedelta(seconds=second)) for token in tokens for second in range(10)]
        counting = Counting(tenant.pool)
        uses = Uses(cast("Pool", counting))
        for look in looks * 1_000:
            uses.note(look, 1)
        await uses.flush()
        await uses.flush()
        assert counting.statements == 1
        assert [await count(tenant.pool, token) for token in tokens] == [10_000] * 10


class Counting:
    """A pool that counts its statements."""

    def __init__(self, pool: Pool) -> None:
        self.statements = 0
        self._pool = pool

    async def execute(self, *statement: Any) -> str:
        self.statements += 1
        return await self._pool.execute(*statement)


async def test_the_last_use_is_the_later_of_exchange_and_verification(database: Database) -> None:
    async with tenant_of(database) as tenant:
        token = await tenant.issue()
        exchanged = (await tenant.exchange(token)).at
        assert await last_used(tenant.pool, token) == exchanged
        async with Uses(tenant.pool) as uses:
            uses.note(seen(token, exchanged - timedelta(days=1)), 1)
        assert await last_used(tenant.pool, token) == exchanged
        async with Uses(tenant.pool) as uses:
            uses.note(seen(token, exchanged + timedelta(seconds=1)), 1)
        assert await last_used(tenant.pool, token) == exchanged + timedelta(seconds=1)
        await tenant.ask(Revoke, token.id, reason="the end")
        assert await last_used(tenant.pool, token) == exchanged + timedelta(seconds=1)


@given(steps=st.lists(st.tuples(st.sampled_from(["rotate", "newest", "previous"]), st.integers(0, 40)), max_size=40))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_last_use_is_found_however_often_a_token_is_rotated(
    database: Database, steps: list[tuple[str, int]]
) -> None:
    """At any moment only a token's newest generation and the previous one can be used."""
    token_id, account, generation, at = uuid7(), uuid7(), 1, NOON
    used = []
    for step, hours in steps:
        at += timedelta(hours=hours)
        if step == "rotate":
            generation += 1
        else:
            used.append((at, max(1, generation - (step == "previous"))))
    reader = await asyncpg.connect(database.app_url)
    uses = Uses(cast("Pool", reader))
    for moment, presented in used:
        uses.note(seen_of(account, token_id, moment), presented)
    await uses.flush()
    latest = f"select {last_use('t')} from (select $1::uuid as account_id, $2::uuid as token_id) as t"
    assert await reader.fetchval(latest, account, token_id) == max((moment for moment, _ in used), default=None)
    await reader.close()


async def test_the_counts_of_two_processes_add_up(database: Database, tmp_path: Path) -> None:
    files = [tmp_path / "one", tmp_path / "other"]
    async with tenant_of(database) as tenant:
        tokens = [await tenant.issue() for _ in range(20)]
        processes = [verifying(database, file, tokens, rounds=200, flush_every=1) for file in files]
        assert [await asyncio.to_thread(process.wait, 120) for process in processes] == [0, 0]
        assert [await count(tenant.pool, token) for token in tokens] == [400] * 20
        latest = max([moment for token in tokens if (moment := await last_used(tenant.pool, token))])
        assert latest == max(moment for file in files for moment in verified(file))


async def test_a_killed_process_loses_at_most_its_last_second(database: Database, tmp_path: Path) -> None:
    async with tenant_of(database) as tenant:
        tokens = [await tenant.issue() for _ in range(4)]
        await asyncio.gather(
            *(killed_while_verifying(tenant, database, tmp_path / str(token.id), token) for token in tokens)
        )


async def killed_while_verifying(tenant: Tenant, database: Database, file: Path, token: Token) -> None:
    process = verifying(database, file, [token], rounds=1_000_000, flush_every=0)
    while not (file.exists() and verified(file)):  # noqa: ASYNC240 - another process writes it
        assert process.poll() is None
        await asyncio.sleep(0.05)
    await asyncio.sleep(random.uniform(1.2, 3.0))
    process.kill()
    await asyncio.to_thread(process.wait)
    noted = verified(file)
    latest = await last_used(tenant.pool, token)
    assert latest is not None
    assert latest >= noted[-1] - timedelta(seconds=PRECISION_SECONDS + SLACK_SECONDS)
    assert await count(tenant.pool, token) >= sum(moment <= latest for moment in noted)


def verifying(database: Database, file: Path, tokens: list[Token], *, rounds: int, flush_every: int) -> Forked:
    """Start a process that verifies these tokens in turn and writes each time into the file."""
    ids = [token.id for token in tokens]
    work = partial(verify, rounds=rounds, flush_every=flush_every)
    return Forked(work, database.app_url, file, tokens[0].account, ids)


def verified(file: Path) -> list[datetime]:
    """The times in the file; a line of a killed process may be incomplete."""
    return [
        datetime.fromisoformat(line.strip())
        for line in file.read_text().splitlines(keepends=True)
        if line.endswith("\n")
    ]


async def test_nothing_is_counted_twice_if_a_stop_meets_a_write(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterfoil.uses.last_used.PRECISION_SECONDS", 0)
    async with tenant_of(database) as tenant:
        token = await tenant.issue()
        for _ in range(50):
            async with Uses(tenant.pool) as uses:
                uses.note(seen(token), 1)
                await asyncio.sleep(random.uniform(0, 0.004))
        assert await count(tenant.pool, token) == 50


async def test_old_days_are_deleted_except_the_latest_of_each_token(database: Database) -> None:
    days: dict[str, list[tuple[int, int]]] = {  # by token: the age in days and the generation
        "used": [(0, 1), (399, 1), (400, 1), (401, 1), (900, 1)],
        "unused for long": [(500, 1), (600, 1)],
        "rotated on its last day": [(500, 2), (500, 1), (501, 1)],
        "used once": [(2_000, 1)],
        "never used": [],
    }
    kept = {
        "used": [0, 399, 400],
        "unused for long": [500],
        "rotated on its last day": [500, 500],
        "used once": [2_000],
        "never used": [],
    }
    async with tenant_of(database) as tenant:
        tokens = {name: await tenant.issue(name=name) for name in days}
        today: datetime = await tenant.pool.fetchval("select current_date + time '12:00' at time zone 'UTC'")
        for name, used in days.items():
            moments = [(today - timedelta(days=ago, minutes=generation), generation) for ago, generation in used]
            uses = [(tenant.account, tokens[name].id, at.date(), nth, 1, at) for at, nth in moments]
            if uses:
                await add(tenant.pool, uses)
        before = {name: await last_used(tenant.pool, token) for name, token in tokens.items()}
        assert [await forgotten_steps(database) for _ in range(2)] == [[4], [0]]
        assert {name: await last_used(tenant.pool, token) for name, token in tokens.items()} == before
        left = await tenant.pool.fetch("select token_id, current_date - day as ago from token_use order by day desc")
        ago = {name: [row["ago"] for row in left if row["token_id"] == token.id] for name, token in tokens.items()}
        assert ago == kept


async def test_few_old_days_are_read_and_deleted_at_a_time(database: Database) -> None:
    async with tenant_of(database) as tenant:
        await tenant.issue()
    async with await open_pool(database.owner_url, size=1) as owner:
        await owner.execute(MANY_USES)
        before = await owner.fetchval(LATEST)
    await asyncio.sleep(0.1)  # a closing connection reports its statistics
    async with await open_pool(database.owner_url, size=1) as owner:
        read, steps = await owner.fetchval(SCANS), await forgotten_steps(database)
        assert await owner.fetchval(SCANS) == read
        assert (sum(steps), max(steps), len(steps)) == (2 * 20_000 + 2 * BATCH, BATCH, 20 + 1 + 2)
        assert await owner.fetchval("select count(*) from token_use") == 20_000 + 1
        assert await owner.fetchval(LATEST) == before


async def forgotten_steps(database: Database) -> list[int]:
    """How many rows each step of one pass over all tokens deletes."""
    place: Place | None = FIRST
    steps = []
    async with await open_pool(database.app_url, size=1) as pool:
        while place is not None:
            some, place = await forget(pool, after=place)
            steps.append(some)
    await asyncio.sleep(0.1)
    return steps


async def test_no_use_is_lost_while_the_database_is_away(own_server: Postgres) -> None:
    database = own_server.database()
    await migrate(database.owner_url, app_role=APPLICATION)
    async with tenant_of(database) as tenant:
        token = await tenant.issue()
    async with await open_pool(database.app_url, size=2) as pool, Uses(pool) as uses:
        for _ in range(2):
            uses.note(seen(token), 1)
            await uses.flush()
            own_server.child.kill()
            uses.note(seen(token), 1)
            await uses.flush()
            uses.note(seen(token), 1)
            await asyncio.sleep(PRECISION_SECONDS + 0.2)
            own_server.start()
    async with await open_pool(database.app_url, size=1) as pool:
        assert await count(pool, token) == 6
        assert await last_used(pool, token) == NOON


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """A server that this test may kill."""
    with temporary_state() as state, embedded_postgres(state) as server:
        yield server
