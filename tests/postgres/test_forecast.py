"""The forecast of expiries and its cliffs equal what a slow count in Python finds."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from counterfoil.core.cliffs import RULE, Cliff, CliffRule
from counterfoil.core.principal import Owner
from counterfoil.core.subjects.token.commands import Revoke
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres import last_used
from counterfoil.postgres.forecast import Forecast, OwnerEnding, crowd_of, forecast_of
from counterfoil.postgres.listing import EVERY, Filter
from counterfoil_dev.postgres import Database
from postgres.tenant import Tenant, tenant_of

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
async def tenant(database: Database) -> AsyncIterator[Tenant]:
    async with tenant_of(database) as tenant:
        yield tenant


def midnight(days: int) -> datetime:
    """The beginning of a day in UTC, so many days from today."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + days * DAY


async def use(tenant: Tenant, *tokens: Token, days_ago: int = 0) -> None:
    at = datetime.now(UTC) - days_ago * DAY
    await last_used.add(tenant.pool, [(token.account, token.id, at.date(), 1, 1, at) for token in tokens])


async def ending(tenant: Tenant, *moments: datetime, owner: str = "crm") -> list[Token]:
    return await asyncio.gather(*(tenant.issue(expires_at=moment, owner=Owner("service", owner)) for moment in moments))


async def forecast(tenant: Tenant, *, days: int = 90, rule: CliffRule = RULE, wanted: Filter = EVERY) -> Forecast:
    return await forecast_of(tenant.pool, tenant.account, wanted=wanted, days=days, rule=rule)


def cliffs_among(used: list[datetime], rule: CliffRule) -> tuple[Cliff, ...]:
    """Every window is tried; of a run of overlapping ones that are cliffs, the fullest counts."""
    starts = sorted(set(used))
    full = [Cliff(start, sum(start <= each < start + rule.window for each in used)) for start in starts]
    full = [cliff for cliff in full if cliff.used > rule.limit(len(used))]
    runs: list[list[Cliff]] = [full[:1]] if full else []
    for earlier, later in pairwise(full):
        if later.starts_at < earlier.starts_at + rule.window:
            runs[-1].append(later)
        else:
            runs.append([later])
    return tuple(max(run, key=lambda cliff: (cliff.used, -cliff.starts_at.timestamp())) for run in runs)


async def test_days_and_cliffs_equal_a_count_in_python(tenant: Tenant) -> None:
    chance = random.Random(7)
    crowded = [midnight(day) + chance.randrange(24) * HOUR for day in (20, 21, 40, 60)]
    moments = [chance.choice(crowded) + timedelta(seconds=chance.randrange(80_000)) for _ in range(60)]
    moments += [midnight(1) + timedelta(seconds=chance.randrange(88 * 86_400)) for _ in range(60)]
    tokens = await ending(tenant, *moments)
    used = [token for token in tokens if chance.random() < 0.7]
    await use(tenant, *used)
    found = await forecast(tenant)
    assert {day.day: (day.tokens, day.used) for day in found.days} == {
        day: (count, Counter(each.expires_at.date() for each in used if each.expires_at)[day])
        for day, count in Counter(moment.date() for moment in moments).items()
    }
    assert found.used == len(used)
    ends = [token.expires_at for token in used if token.expires_at]
    seen = 0
    for rule in (
        RULE,
        CliffRule(6 * HOUR, 3, 3),
        CliffRule(DAY, 2, 1),
        CliffRule(30 * DAY, 10, 50),
        CliffRule(DAY, 99, 1),
    ):
        cliffs = (await forecast(tenant, rule=rule)).cliffs
        assert cliffs == cliffs_among(ends, rule)
        seen += len(cliffs)
    assert seen > 4


async def test_a_day_names_the_owners_with_the_most_used_tokens(tenant: Tenant) -> None:
    made = {owner: await ending(tenant, *[midnight(5)] * count, owner=owner) for owner, count in
            (("idle", 5), ("one", 1), ("busy", 3), ("small", 2))}  # fmt: skip
    await use(tenant, *made["busy"], made["one"][0])
    (day,) = (await forecast(tenant)).days
    assert (day.day, day.tokens, day.used) == (midnight(5).date(), 11, 4)
    assert day.owners == (
        OwnerEnding("service", "busy", 3, 3), OwnerEnding("service", "one", 1, 1), OwnerEnding("service", "idle", 5, 0)
    )  # fmt: skip
    (only,) = (await forecast(tenant, wanted=Filter(owner_type="service", owner_id="small"))).days
    assert (only.tokens, only.used) == (2, 0)


async def test_what_no_longer_expires_or_expires_later_is_not_counted(tenant: Tenant) -> None:
    (revoked,) = await ending(tenant, midnight(3))
    await tenant.ask(Revoke, revoked.id, reason="over")
    await ending(tenant, midnight(-1), midnight(10) - timedelta(seconds=1), midnight(10))
    await tenant.issue(lifetime="forever")
    days: list[date] = [day.day for day in (await forecast(tenant, days=10)).days]
    assert days == [midnight(9).date()]


async def test_use_is_an_exchange_or_a_verification_of_seven_days(tenant: Tenant) -> None:
    exchanged, verified, _, old = await ending(tenant, *[midnight(5)] * 4)
    await tenant.exchange(exchanged)
    await use(tenant, verified, days_ago=6)
    await use(tenant, old, days_ago=8)
    assert (await forecast(tenant)).used == 2


async def test_a_crowd_has_the_used_tokens_of_its_cliffs_and_counts_by_slot(tenant: Tenant) -> None:
    cliff = await ending(tenant, *[midnight(30) + HOUR] * 12)
    others = await ending(tenant, midnight(5), midnight(31) + HOUR, midnight(60))
    (unused,) = await ending(tenant, midnight(30) + HOUR)
    await use(tenant, *cliff, *others)
    crowd = await crowd_of(tenant.pool, tenant.account, wanted=EVERY, movable=EVERY, days=90, rule=RULE)
    assert crowd.forecast.cliffs == (Cliff(midnight(30) + HOUR, 12),)
    assert crowd.used == {30: 12, 31: 1, 5: 1, 60: 1}
    assert {listed.token.id for listed in crowd.tokens} == {each.id for each in (*cliff, others[1])}
    assert unused.id not in {listed.token.id for listed in crowd.tokens}
    nobody = Filter(owner_type="service", owner_id="nobody")
    crowd = await crowd_of(tenant.pool, tenant.account, wanted=EVERY, movable=nobody, days=90, rule=RULE)
    assert (len(crowd.forecast.cliffs), crowd.tokens) == (1, ())


async def test_tokens_of_another_account_are_not_counted(tenant: Tenant, database: Database) -> None:
    await use(tenant, *(await ending(tenant, *[midnight(30)] * 12)))
    assert len((await forecast(tenant)).cliffs) == 1
    async with tenant_of(database) as other:
        found = await crowd_of(other.pool, other.account, wanted=EVERY, movable=EVERY, days=90, rule=RULE)
        assert (found.forecast.days, found.forecast.cliffs, found.tokens) == ((), (), ())
