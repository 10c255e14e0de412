"""Alerts as they are read: their selection, order and pages."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from counterfoil.core.principal import SYSTEM
from counterfoil.core.secret import mint
from counterfoil.core.subjects.token.commands import Renew, Revoke, Rotate, Suspend, Sweep
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres import last_used
from counterfoil.postgres.alerts import Alert, alerts_of, expiring_within, unannounced
from counterfoil.postgres.listing import Filter
from counterfoil_dev.postgres import Database
from postgres.tenant import PEPPERS, Tenant, tenant_of

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
async def tenant(database: Database) -> AsyncIterator[Tenant]:
    async with tenant_of(database) as tenant:
        yield tenant


async def announced(tenant: Tenant, *, ends_in: timedelta = -HOUR, **said: Any) -> Token:
    """A token whose expiry the sweep has announced, by the threshold equal to its remaining lifetime."""
    notice = max(int(ends_in.total_seconds()), 0)
    token = await tenant.issue(expires_at=datetime.now(UTC) + ends_in, thresholds=(notice,) if notice else (), **said)
    # A threshold counts only for a longer lifetime: let this one have begun earlier.
    await tenant.pool.execute(
        "update token set lifetime_start = lifetime_start - interval '1h' where token_id = $1", token.id
    )
    swept = await sweep(tenant, token)
    assert swept.announced == notice
    return swept


async def sweep(tenant: Tenant, token: Token) -> Token:
    return (await tenant.door.execute(Sweep(account=token.account, id=token.id, by=SYSTEM))).of(Token)


async def used(tenant: Tenant, token: Token, times: int, *, days_ago: int = 0, generation: int = 1) -> None:
    at = datetime.now(UTC) - days_ago * DAY
    await last_used.add(tenant.pool, [(token.account, token.id, at.date(), generation, times, at)])


async def alerts(tenant: Tenant, **asked: Any) -> list[Alert]:
    return await alerts_of(tenant.pool, tenant.account, **{"after": None, "limit": 100, **asked})


async def names(tenant: Tenant, **asked: Any) -> list[str | None]:
    return [alert.listed.token.name for alert in await alerts(tenant, **asked)]


async def test_alerts_are_sorted_by_notice_then_use_then_expiry(tenant: Tenant) -> None:
    week_idle = await announced(tenant, name="week, idle", ends_in=7 * DAY)
    for name, ends_in, times in (
        ("week, busy", 7 * DAY, 9), ("month", 30 * DAY, 1000), ("day, later", DAY, 0), ("gone, busy", -HOUR, 3),
        ("gone, longer", -2 * HOUR, 0), ("gone", -HOUR, 0),
    ):  # fmt: skip
        if times:
            await used(tenant, await announced(tenant, name=name, ends_in=ends_in), times)
        else:
            await announced(tenant, name=name, ends_in=ends_in)
    await used(tenant, week_idle, 8)
    assert await names(tenant) == [
        *("gone, busy", "gone, longer", "gone"),
        *("day, later", "week, busy", "week, idle", "month"),
    ]


async def test_an_alert_shows_the_announced_threshold_and_its_time(tenant: Tenant) -> None:
    token = await announced(tenant, ends_in=7 * DAY)
    (alert,) = await alerts(tenant)
    assert (alert.threshold, alert.expires_at, alert.at) == (7 * 86_400, token.expires_at, token.at)
    assert alert.listed.token == token
    assert timedelta(0) <= alert.listed.at - token.at < timedelta(seconds=30)


async def test_only_announced_tokens_are_alerts(tenant: Tenant) -> None:
    await tenant.issue(lifetime="90d", thresholds=(60,))
    await tenant.issue(expires_at=datetime.now(UTC) - HOUR)  # expired but not yet swept
    assert await alerts(tenant) == []


async def test_an_alert_ends_with_a_renewal_or_a_revocation_and_stays_after_a_rotation(tenant: Tenant) -> None:
    renewed, revoked, rotated = [await announced(tenant, name=name, ends_in=DAY) for name in ("a", "b", "c")]
    await tenant.ask(Renew, renewed.id, lifetime="90d")
    await tenant.ask(Revoke, revoked.id, reason="unused")
    await tenant.ask(Rotate, rotated.id, secret=PEPPERS.minted(mint("service")), grace_seconds=0)
    assert await names(tenant) == ["c"]


async def test_an_expiry_is_an_alert_for_thirty_days_unless_stated_otherwise(tenant: Tenant) -> None:
    await announced(tenant, name="29", ends_in=-29 * DAY)
    await announced(tenant, name="31", ends_in=-31 * DAY)
    assert await names(tenant) == ["29"]
    assert await names(tenant, kept=40 * DAY) == ["31", "29"]
    assert await names(tenant, kept=DAY) == []


async def test_recent_use_covers_seven_days_and_every_generation(tenant: Tenant) -> None:
    token = await announced(tenant, ends_in=DAY)
    await used(tenant, token, 1)
    await used(tenant, token, 2, generation=2)
    await used(tenant, token, 4, days_ago=6)
    await used(tenant, token, 8, days_ago=7)
    (alert,) = await alerts(tenant)
    today = datetime.now(UTC).date()
    assert alert.recent_uses == 7
    assert alert.uses_by_day == ((today - 6 * DAY, 4), (today, 3))


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_tokens_that_are_refused_already_come_after_those_that_break(tenant: Tenant, limit: int) -> None:
    for name, times in (("suspended, busy", 9), ("suspended", 1), ("idle", 0), ("busy", 2)):
        token = await announced(tenant, name=name, ends_in=DAY)
        if times:
            await used(tenant, token, times)
        if "suspended" in name:
            await tenant.ask(Suspend, token.id, reason="on leave")
    found: list[Alert] = []
    while page := await alerts(tenant, limit=limit, after=found[-1].listed.place if found else None):
        found += page
    assert [alert.listed.token.name for alert in found] == ["busy", "idle", "suspended, busy", "suspended"]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_used_and_unused_tokens_are_listed_apart(tenant: Tenant, limit: int) -> None:
    for name, ends_in in (("busy", DAY), ("idle", DAY), ("long ago", 2 * DAY), ("exchanged", 2 * DAY)):
        token = await announced(tenant, name=name, ends_in=ends_in)
        if name == "exchanged":
            await tenant.exchange(token)
        elif name != "idle":
            await used(tenant, token, 3, days_ago=0 if name == "busy" else 8)

    async def listed(*, used: bool) -> list[str | None]:
        found: list[Alert] = []
        while page := await alerts(tenant, used=used, limit=limit, after=found[-1].listed.place if found else None):
            found += page
        return [alert.listed.token.name for alert in found]

    assert (await listed(used=True), await listed(used=False)) == (["busy", "exchanged"], ["idle", "long ago"])


async def test_an_exchange_counts_as_use(tenant: Tenant) -> None:
    await announced(tenant, name="idle", ends_in=DAY)
    exchanged = await announced(tenant, name="exchanged", ends_in=DAY)
    fact = (await tenant.exchange(exchanged)).facts[0]
    first, second = await alerts(tenant)
    assert (first.listed.token.name, first.recent_uses, first.listed.last_used_at) == ("exchanged", 1, fact.at)
    assert (second.listed.token.name, second.recent_uses, second.listed.last_used_at) == ("idle", 0, None)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 24, 25])
async def test_pages_of_any_size_contain_all_alerts_once(tenant: Tenant, limit: int) -> None:
    ends_at = datetime.now(UTC) - HOUR
    gone = [await tenant.issue(name=f"gone {n}", expires_at=ends_at) for n in range(12)]  # all at the same moment
    coming = [await tenant.issue(expires_at=ends_at + 2 * HOUR, thresholds=(3600 * (n % 2 + 1),)) for n in range(12)]
    await asyncio.gather(*(sweep(tenant, token) for token in gone))
    whole_day = [await announced(tenant, ends_in=n * DAY) for n in (1, 1, 2)]
    for n, token in enumerate([*gone, *whole_day]):
        if n % 3:
            await used(tenant, token, n % 3)
    whole = await alerts(tenant)
    assert len(whole) == len(gone) + len(whole_day)
    assert len(coming) == 12
    pages: list[Alert] = []
    while page := await alerts(tenant, limit=limit, after=pages[-1].listed.place if pages else None):
        assert len(page) <= limit
        pages += page
    assert [alert.listed.token.id for alert in pages] == [alert.listed.token.id for alert in whole]


async def test_alerts_of_another_account_are_not_shown(tenant: Tenant, database: Database) -> None:
    await announced(tenant, name="ours")
    async with tenant_of(database) as other:
        await announced(other, name="theirs")
        assert (await names(tenant), await names(other)) == (["ours"], ["theirs"])
        (ours,) = await alerts(tenant)
        assert await names(other, after=ours.listed.place) in ([], ["theirs"])


async def near(tenant: Tenant, within: timedelta, **asked: Any) -> list[Alert]:
    """All tokens that expire within a window, read page by page."""
    found: list[Alert] = []
    at = datetime.now(UTC)
    while True:
        after = found[-1].listed.place if found else None
        page = await expiring_within(
            tenant.pool, tenant.account, within, **{"at": at, "after": after, "limit": 2, **asked}
        )
        found += page
        if len(page) < 2:
            return found


async def test_a_window_shows_all_tokens_that_expire_in_it_with_and_without_a_notice(tenant: Tenant) -> None:
    for name, ends_in in (("in 2 h", 2 * HOUR), ("in 5 d", 5 * DAY), ("in 9 d", 9 * DAY), ("long dead", -31 * DAY)):
        await tenant.issue(name=name, expires_at=datetime.now(UTC) + ends_in)
    await tenant.issue(name="never")
    noticed = await announced(tenant, name="noticed", ends_in=6 * DAY)
    await announced(tenant, name="gone", ends_in=-HOUR)
    await tenant.issue(name="gone, not swept", expires_at=datetime.now(UTC) - 2 * HOUR)
    suspended = await tenant.issue(name="suspended", expires_at=datetime.now(UTC) + 3 * HOUR)
    await tenant.ask(Suspend, suspended.id, reason="on leave")
    revoked = await tenant.issue(name="revoked", expires_at=datetime.now(UTC) + HOUR)
    await tenant.ask(Revoke, revoked.id, reason="over")
    await used(tenant, suspended, 1)

    found = await near(tenant, 7 * DAY)
    assert [alert.listed.token.name for alert in found] == [
        *("gone, not swept", "gone"), *("in 2 h", "suspended"), *("in 5 d", "noticed"),
    ]  # fmt: skip
    told = {alert.listed.token.name: (alert.threshold, alert.at) for alert in found}
    assert told["in 2 h"] == told["gone, not swept"] == (None, None)
    assert told["noticed"] == (6 * 86_400, noticed.at)
    assert told["gone"][0] == 0
    gone = {"gone, not swept", "gone"}
    for window, expected in (
        (HOUR, gone),
        (3 * HOUR + HOUR / 2, gone | {"in 2 h", "suspended"}),
        (10 * DAY, {alert.listed.token.name for alert in found} | {"in 9 d"}),
    ):
        assert {alert.listed.token.name for alert in await near(tenant, window)} == expected
    assert await unannounced(tenant.pool, tenant.account) == 2
    assert await unannounced(tenant.pool, tenant.account, wanted=Filter(owner_type="service", owner_id="nobody")) == 0
    assert await near(tenant, 7 * DAY, wanted=Filter(owner_type="service", owner_id="nobody")) == []


async def test_soon_expiring_tokens_of_another_account_are_not_shown(tenant: Tenant, database: Database) -> None:
    await tenant.issue(name="ours", lifetime="1h")
    async with tenant_of(database) as other:
        assert await near(other, 7 * DAY) == []
        assert await unannounced(other.pool, other.account) == 0
