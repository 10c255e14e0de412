"""Uses of both secrets during a grace: counted by network, bounded, forgotten, and found by the sweep."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counterfoil.core.secret import mint
from counterfoil.core.subjects.account import CreateAccount, EndSecrets
from counterfoil.core.subjects.token import commands
from counterfoil.core.subjects.token.secret_uses import quiet_since
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres.last_used import FIRST, forget
from counterfoil.postgres.rotation_uses import MOST_NETWORKS, OTHER, Use, add, graces_ending, rotation_of
from counterfoil.uses.last_used import RotationUses
from counterfoil_dev.postgres import Database
from postgres.tenant import PEPPERS, Tenant, tenant_of

DAY = timedelta(days=1)
NET, ELSEWHERE = "203.0.113.0/24", "2001:db8::/64"


@pytest.fixture
async def tenant(database: Database) -> AsyncIterator[Tenant]:
    async with tenant_of(database) as opened:
        yield opened


async def rotated(tenant: Tenant, *, grace: timedelta = 4 * DAY, **fields: Any) -> Token:
    """Issue and rotate a token."""
    token = await tenant.issue(**fields)
    secret, seconds = PEPPERS.minted(mint("service")), int(grace.total_seconds())
    return (await tenant.ask(commands.Rotate, token.id, secret=secret, grace_seconds=seconds)).of(Token)


def used(token: Token, *, behind: int = 1, network: str = NET, count: int = 1, ago: timedelta = timedelta(0)) -> Use:
    generation, at = token.generation - behind, datetime.now(UTC) - ago
    return (token.account, token.id, token.generation, generation, network, count, at)


async def aged(tenant: Tenant, token: Token, *, left: timedelta, began: timedelta) -> None:
    """Let the grace of a token begin so long ago, and end in so long."""
    await tenant.pool.execute(
        """
        update token
           set grace_start = clock_timestamp() - $2::interval, previous_until = clock_timestamp() + $3::interval
         where token_id = $1""",
        token.id, began, left,
    )  # fmt: skip


async def due(tenant: Tenant, notice: timedelta = DAY) -> list[Any]:
    return [each.token_id for each in await graces_ending(tenant.pool, notice=notice, after=None, limit=100)]


async def test_uses_are_added_up_by_network_and_secret(tenant: Tenant) -> None:
    token = await rotated(tenant)
    await add(tenant.pool, [used(token, count=2, ago=DAY), used(token, network=ELSEWHERE), used(token, behind=0)])
    await add(tenant.pool, [used(token, count=3, ago=2 * DAY)])
    state = await rotation_of(tenant.pool, token)
    by_network = {each.network: each for each in state.uses.networks}
    assert {name: (each.previous, each.present) for name, each in by_network.items()} == {
        NET: (5, 1),
        ELSEWHERE: (1, 0),
    }
    last = by_network[NET].previous_last_at
    assert last is not None
    assert timedelta(hours=23) < datetime.now(UTC) - last < timedelta(hours=25), "the latest one"
    assert (state.uses.generation, state.verified_at) == (2, None)


async def test_two_processes_lose_no_use(tenant: Tenant, database: Database) -> None:
    tokens = [await rotated(tenant) for _ in range(3)]
    async with tenant_of(database) as other:
        uses = [used(token, network=f"192.0.{n}.0/24") for token in tokens for n in range(20)]
        await asyncio.gather(*(add(pool, uses[::step]) for pool in (tenant.pool, other.pool) for step in (1, -1) * 5))
    for token in tokens:
        assert (await rotation_of(tenant.pool, token)).uses.previous == 20 * 20


async def test_networks_beyond_the_first_ones_are_counted_together(tenant: Tenant) -> None:
    token = await rotated(tenant)
    for first in (0, 40, 80):
        await add(tenant.pool, [used(token, network=f"192.0.{n}.0/24") for n in range(first, first + 40)])
    await add(tenant.pool, [used(token, network="192.0.3.0/24"), used(token, network="192.0.119.0/24")])
    uses = (await rotation_of(tenant.pool, token)).uses
    assert uses.previous == 122
    counts = {each.network: each.previous for each in uses.networks}
    assert len(counts) == MOST_NETWORKS + 1
    assert (counts["192.0.3.0/24"], counts[OTHER]) == (2, 71)


async def test_uses_outside_of_a_grace_are_not_written(tenant: Tenant) -> None:
    token, never = await rotated(tenant), await tenant.issue()
    assert token.previous_until is not None
    async with RotationUses(tenant.pool) as uses:
        uses.note(never, 1, at=datetime.now(UTC), network=NET)
        uses.note(token, 2, at=token.previous_until, network=NET)
        assert len(uses) == 0, "the exact deadline is already too late"
        uses.note(token, 1, at=token.previous_until - timedelta(microseconds=1), network=NET)
        assert len(uses) == 1
    assert (await rotation_of(tenant.pool, token)).uses.previous == 1, "it is written at the end"


async def test_earlier_rotations_and_very_old_uses_are_forgotten(tenant: Tenant) -> None:
    old, kept = await rotated(tenant, grace=timedelta(0)), await rotated(tenant)
    await add(tenant.pool, [used(old), used(old, behind=0), used(kept), used(kept, network=ELSEWHERE, ago=402 * DAY)])
    turned = await tenant.ask(
        commands.Rotate, old.id, secret=PEPPERS.minted(mint("service")), grace_seconds=60, ends_previous=True
    )
    await add(tenant.pool, [used(turned.of(Token))])
    await forget(tenant.pool, after=FIRST)
    rows = await tenant.pool.fetch("select rotation, network from rotation_use order by rotation, network")
    assert [tuple(row) for row in rows] == [(2, NET), (3, NET)]


async def test_a_grace_is_due_in_its_last_day_while_a_network_has_not_moved(tenant: Tenant) -> None:
    behind, moved, unused, early = [await rotated(tenant) for _ in range(4)]
    for token in (behind, moved, unused):
        await aged(tenant, token, left=timedelta(hours=23), began=3 * DAY)
    await add(tenant.pool, [
        used(behind, ago=2 * DAY), used(behind, behind=0, network=ELSEWHERE),
        used(moved, ago=2 * DAY), used(moved, behind=0, ago=DAY), used(early), used(unused, behind=0),
    ])  # fmt: skip
    assert await due(tenant) == [behind.id]
    assert await due(tenant, timedelta(hours=22)) == []


async def test_a_grace_that_ends_nothing_is_not_due(tenant: Tenant) -> None:
    revoked, expired, announced, over, ended = [await rotated(tenant) for _ in range(5)]
    for token in (revoked, expired, announced, ended):
        await aged(tenant, token, left=timedelta(hours=1), began=3 * DAY)
    await aged(tenant, over, left=timedelta(seconds=-1), began=3 * DAY)
    await add(tenant.pool, [used(token) for token in (revoked, expired, announced, over)])
    assert len(await due(tenant)) == 3
    await tenant.ask(commands.Revoke, revoked.id, reason="done")
    await tenant.pool.execute("update token set expires_at = now() where token_id = $1", expired.id)
    await tenant.ask(commands.AnnounceGrace, announced.id, notice_seconds=86_400)
    assert await due(tenant) == []
    await add(tenant.pool, [used(ended)])
    assert await due(tenant) == [ended.id]
    account, by = tenant.account, tenant.admin
    await tenant.door.execute(CreateAccount(account=account, id=account, by=by, name="Acme"))
    await tenant.door.execute(EndSecrets(account=account, id=account, by=by, reason="all of them"))
    assert await due(tenant) == [], "its previous secret ended with all others"


async def test_pages_of_due_graces_continue(tenant: Tenant) -> None:
    tokens = [await rotated(tenant) for _ in range(5)]
    for hours, token in enumerate(tokens, start=1):
        await aged(tenant, token, left=timedelta(hours=hours), began=3 * DAY)
    await add(tenant.pool, [used(token) for token in tokens])
    found, last = [], None
    while page := await graces_ending(tenant.pool, notice=DAY, after=last, limit=2):
        found += [each.token_id for each in page]
        last = page[-1]
    assert found == [token.id for token in tokens]


_hours = st.integers(0, 60)
_networks = st.lists(st.tuples(st.sampled_from([NET, ELSEWHERE]), st.sampled_from([0, 1]), _hours), max_size=5)


@given(uses=_networks, left=st.integers(1, 47), began=st.integers(0, 90))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_sweep_finds_exactly_what_the_decision_announces(
    tenant: Tenant, uses: list[tuple[str, int, int]], left: int, began: int
) -> None:
    token = await rotated(tenant)
    await aged(tenant, token, left=timedelta(hours=left), began=timedelta(hours=began))
    for network, behind, hours in uses:
        await add(tenant.pool, [used(token, network=network, behind=behind, ago=timedelta(hours=hours, seconds=30))])
    found = token.id in await due(tenant)
    state = (await rotation_of(tenant.pool, token)).uses
    grace = timedelta(hours=left + began)
    expected = timedelta(hours=left) <= min(DAY, grace / 2) and bool(
        state.behind(quiet_since(datetime.now(UTC), grace=grace))
    )
    assert found is expected
    told = await tenant.ask(commands.AnnounceGrace, token.id, notice_seconds=86_400)
    assert [fact.type for fact in told.facts] == (["grace_ending"] if expected else [])
