import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import asyncpg
from uuid_utils.compat import uuid7

from counterfoil.core.secret import Peppers, Secret, mint
from counterfoil.core.subjects.token.acceptance import refusal_for
from counterfoil.core.subjects.token.commands import Resume, Revoke, Rotate, Suspend
from counterfoil.core.subjects.token.state import Token
from counterfoil.door import Door
from counterfoil.postgres.connection import LOST, Pool, open_pool
from counterfoil.postgres.lookup import Lookup, Seen
from counterfoil_dev.postgres import Database
from postgres.tenant import PEPPERS, Tenant, tenant_of

INTERLEAVINGS = 10_000


class Counting:
    """A pool that counts its queries."""

    def __init__(self, pool: Pool) -> None:
        self.queries = 0
        self._pool = pool

    async def fetch(self, *question: Any) -> list[asyncpg.Record]:
        self.queries += 1
        return await self._pool.fetch(*question)


@asynccontextmanager
async def looking(database: Database) -> AsyncIterator[tuple[Lookup, Counting]]:
    async with await open_pool(database.app_url, size=2, by_key=True) as pool:
        counting = Counting(pool)
        yield Lookup(cast("Pool", counting)), counting


async def test_a_digest_finds_its_token_and_all_that_acceptance_needs(database: Database) -> None:
    secret = mint("service")
    async with tenant_of(database) as tenant, looking(database) as (lookup, _):
        token = await tenant.issue(secret=secret, scopes=("mail.send",), lifetime="90d")
        seen = await lookup.by_digests(PEPPERS.digests(secret))
        assert seen is not None
        assert seen == Seen(
            account=tenant.account, id=token.id, number=token.number, owner=token.owner, scopes=("mail.send",),
            status="active", expires_at=token.expires_at, generation=1, epoch=0,
            previous_until=None, previous_epoch=0, created_at=token.created_at, lifetime_start=token.lifetime_start,
            thresholds=token.thresholds, at=seen.at, presented=1, pepper_id=1,
        )  # fmt: skip
        assert token.at < seen.at


async def test_an_unknown_digest_and_a_foreign_id_find_nothing(database: Database) -> None:
    async with tenant_of(database) as tenant, looking(database) as (lookup, _):
        token = await tenant.issue()
        assert await lookup.by_digests(PEPPERS.digests(mint("service"))) is None
        assert await lookup.by_id(uuid7(), token.id) is None
        assert await lookup.by_id(tenant.account, uuid7()) is None
        seen = await lookup.by_id(tenant.account, token.id)
        assert seen is not None
        assert seen.presented is None


async def test_a_thousand_simultaneous_look_ups_are_a_handful_of_queries(database: Database) -> None:
    secrets = [mint("service") for _ in range(200)]
    async with tenant_of(database) as tenant, looking(database) as (lookup, counting):
        tokens = await asyncio.gather(*(tenant.issue(secret=secret) for secret in secrets))
        asked = [lookup.by_digests(PEPPERS.digests(secret)) for secret in secrets * 5]
        answers = await asyncio.gather(*asked)
        assert [seen.id for seen in answers if seen] == [token.id for token in tokens] * 5
        assert counting.queries <= 2


async def test_every_active_pepper_verifies_its_own_secrets(database: Database) -> None:
    old, new = {1: b"1" * 32}, {2: b"2" * 32}
    before, after, stranger = (mint("service") for _ in range(3))
    async with tenant_of(database) as tenant, looking(database) as (lookup, _):
        first = await tenant.issue(secret=before, peppers=Peppers(old))
        second = await tenant.issue(secret=after, peppers=Peppers(old | new))
        both = Peppers(old | new)
        assert [await opened(lookup, both, secret) for secret in (before, after, stranger)] == [
            first.id, second.id, None,
        ]  # fmt: skip
        assert await opened(lookup, Peppers(new), before) is None
        assert await opened(lookup, Peppers(old), after) is None


async def opened(lookup: Lookup, peppers: Peppers, secret: Secret) -> object:
    seen = await lookup.by_digests(peppers.digests(secret))
    return seen and seen.id


async def test_a_failed_query_fails_all_its_callers_and_the_next_one_works(database: Database) -> None:
    secret = mint("service")
    async with tenant_of(database) as tenant, looking(database) as (lookup, counting):
        token = await tenant.issue(secret=secret)
        blocker = await asyncpg.connect(database.owner_url)
        await blocker.execute("begin; lock table secret in access exclusive mode")
        asked = [asyncio.create_task(lookup.by_digests(PEPPERS.digests(secret))) for _ in range(20)]
        while not await tenant.pool.fetchval(_END_WHO_WAITS):  # noqa: ASYNC110 - Postgres has no event for it
            await asyncio.sleep(0.01)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(answer, LOST) for answer in answers] == [True] * 20
        assert counting.queries == 1
        await blocker.close()
        assert await opened(lookup, PEPPERS, secret) == token.id


_END_WHO_WAITS = """
    select bool_or(pg_terminate_backend(pid))
      from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock'"""


@dataclass(slots=True)
class Watched:
    """A token under constant change, with its acknowledged state; `steps` is odd during a change."""

    token: Token
    secret: Secret
    retired: Secret | None = None
    refused: bool = False
    steps: int = 0


async def test_a_look_up_that_begins_after_an_acknowledged_change_sees_it(database: Database) -> None:
    async with (
        tenant_of(database) as tenant,
        Door(database.app_url) as door,
        looking(database) as (one, _),
        looking(database) as (two, _),
    ):
        secrets = [mint("service") for _ in range(100)]
        tokens = await asyncio.gather(*(tenant.issue(secret=secret) for secret in secrets))
        watched = [Watched(token, secret) for token, secret in zip(tokens, secrets, strict=True)]
        tenants = (tenant, Tenant(door, tenant.pool, tenant.account))
        times = INTERLEAVINGS // len(watched)
        async with asyncio.TaskGroup() as group:
            lookers = [group.create_task(look(watched, lookup)) for lookup in (one, two) for _ in range(24)]
            await asyncio.gather(*(change(each, tenants, (one, two), times) for each in watched))
            for looker in lookers:
                looker.cancel()


async def change(each: Watched, tenants: Sequence[Tenant], lookups: Sequence[Lookup], times: int) -> None:
    """Suspend, resume and rotate it at random and revoke it at last; look it up after each acknowledgement."""
    for number in range(times):
        each.steps += 1
        await change_once(each, tenants[number % 2], last=number == times - 1)
        each.steps += 1
        await check(each, lookups[number // 2 % 2])


async def change_once(each: Watched, tenant: Tenant, *, last: bool) -> None:
    if last:
        await tenant.ask(Revoke, each.token.id, reason="the end")
        each.refused = True
    elif random.random() < 0.4:
        fresh = mint("service")
        await tenant.ask(Rotate, each.token.id, secret=PEPPERS.minted(fresh), grace_seconds=0)
        each.retired, each.secret = each.secret, fresh
    elif each.refused:
        each.refused = False
        await tenant.ask(Resume, each.token.id)
    else:
        await tenant.ask(Suspend, each.token.id)
        each.refused = True


async def look(watched: Sequence[Watched], lookup: Lookup) -> None:
    """Keep queries running that a look-up might wrongly join."""
    while True:
        await check(random.choice(watched), lookup)


async def check(each: Watched, lookup: Lookup) -> None:
    """Look a secret up: a retired one is always refused; an unchanged token has its last acknowledged state."""
    secret = random.choice((each.secret, each.retired or each.secret))
    retired, refused, steps = secret is each.retired, each.refused, each.steps
    seen = await lookup.by_digests(PEPPERS.digests(secret))
    assert seen is not None
    assert seen.presented is not None
    good = refusal_for(seen, seen.presented, seen.at) is None
    if retired:
        assert not good
    elif steps == each.steps and steps % 2 == 0:
        assert good != refused
