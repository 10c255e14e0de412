"""The sealed log is read by position, in windows, for one account or for all."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count

import asyncpg
import pytest
import pytest_asyncio
from uuid_utils.compat import uuid7

from counterfoil.core.subjects.token import commands
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres import sealed_log
from counterfoil.postgres.sealed_log import LogFilter, SealedEvent, Window, head_of, window
from counterfoil_dev.postgres import Database
from postgres.sealing import seal_all
from postgres.tenant import Tenant, tenant_of

EVERYTHING = LogFilter()
FAR = 2**62
"""Beyond every head."""
NUMBERS = count()


@pytest_asyncio.fixture
async def ours(database: Database) -> AsyncIterator[Tenant]:
    async with tenant_of(database) as tenant:
        yield tenant


async def read(
    tenant: Tenant, wanted: LogFilter = EVERYTHING, *, limit: int = 1_000, after: int = 0
) -> list[SealedEvent]:
    """Read everything from a position on, window by window."""
    return [event for each in await windows(tenant, wanted, limit=limit, after=after) for event in each.events]


async def windows(tenant: Tenant, wanted: LogFilter, *, limit: int, after: int = 0) -> list[Window]:
    found: list[Window] = []
    head = await head_of(tenant.pool, tenant.account)
    while after < head:
        found.append(await window(tenant.pool, tenant.account, after=after, until=head, filter=wanted, limit=limit))
        assert found[-1].reached > after
        after = found[-1].reached
    return found


async def renamed(tenant: Tenant, token: Token, times: int) -> None:
    for _ in range(times):
        await tenant.ask(commands.Update, token.id, name=f"name {next(NUMBERS)}")


async def test_a_log_is_read_in_order_whatever_the_size_of_the_windows(database: Database, ours: Tenant) -> None:
    for _ in range(3):
        await renamed(ours, await ours.issue(), 4)
    size = await seal_all(database.app_url)
    for limit in (1, 2, 7, 1_000):
        events = await read(ours, limit=limit)
        assert [event.position for event in events] == list(range(1, size + 1))
    assert [event.position for event in await read(ours, limit=4, after=5)] == list(range(6, size + 1))
    assert all(json.loads(event.entry)["version"] == event.version for event in events)
    assert {event.account for event in events} == {ours.account}


async def test_unsealed_events_are_in_no_window_and_nothing_beyond_the_head_is_read(
    database: Database, ours: Tenant
) -> None:
    nothing = await window(ours.pool, ours.account, after=0, until=FAR, filter=EVERYTHING, limit=10)
    assert nothing == Window([], 0)
    token = await ours.issue()
    assert await head_of(ours.pool, ours.account) == 0
    await seal_all(database.app_url)
    await renamed(ours, token, 1)
    found = await window(ours.pool, ours.account, after=0, until=FAR, filter=EVERYTHING, limit=10)
    assert (len(found.events), found.reached, await head_of(ours.pool, ours.account)) == (1, 1, 1)
    beyond = await window(ours.pool, ours.account, after=7, until=FAR, filter=EVERYTHING, limit=10)
    assert beyond == Window([], 7)


async def test_private_parts_come_with_their_salt_until_they_are_erased(database: Database, ours: Tenant) -> None:
    token = await ours.issue(name="of a person")
    await seal_all(database.app_url)
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("update event set private = null, salt = null where subject_id = $1", token.id)
    await owner.close()
    (created,) = await read(ours)
    assert (created.type, created.private, created.salt) == ("created", None, None)
    await renamed(ours, await ours.issue(name="kept"), 1)
    await seal_all(database.app_url)
    last = (await read(ours))[-1]
    assert last.private is not None
    assert last.salt is not None
    assert (json.loads(last.private)["name"][:5], len(last.salt)) == ("name ", 32)


async def test_filters_find_the_events_that_admits_accepts(database: Database, ours: Tenant) -> None:
    first, second = await ours.issue(), await ours.issue()
    await renamed(ours, first, 3)
    await ours.exchange(second)
    await ours.ask(commands.Revoke, first.id, reason="leaked")
    await seal_all(database.app_url)
    everything = await read(ours)
    middle = everything[4].at
    filters = [
        LogFilter(subject=first.id), LogFilter(subject=second.id), LogFilter(subject=uuid7()),
        LogFilter(kinds=("token",)), LogFilter(kinds=("user", "key")),
        LogFilter(types=("updated", "revoked")), LogFilter(types=("exchanged",)),
        LogFilter(actors=(second.id,)), LogFilter(actors=(ours.account,)), LogFilter(actors=(uuid7(), second.id)),
        LogFilter(since=middle), LogFilter(until=middle), LogFilter(since=middle, until=middle + timedelta(seconds=1)),
        LogFilter(since=datetime(2999, 1, 1, tzinfo=UTC)),
        LogFilter(subject=first.id, types=("updated",), since=middle),
    ]  # fmt: skip
    found = [await read(ours, wanted, limit=2) for wanted in filters]
    assert found == [[event for event in everything if wanted.admits(event)] for wanted in filters]
    assert {len(each) for each in found} >= {0, 1, 2, 5}


async def test_the_reached_position_is_known_when_a_filter_hides_nearly_everything(
    database: Database, ours: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed_log, "LOOKED_AT", 5)
    await renamed(ours, await ours.issue(), 11)
    last = await ours.issue()
    size = await seal_all(database.app_url)
    found = await windows(ours, LogFilter(actors=(last.id,)), limit=3)
    assert [each.reached for each in found] == [5, 10, size]
    assert not any(each.events for each in found)
    assert [event.subject for event in await read(ours, LogFilter(types=("created",)), limit=1)][1:] == [last.id]


async def test_one_subject_is_read_by_its_versions(database: Database, ours: Tenant) -> None:
    """Events of other subjects are not read: one window is enough where the account's log needs many."""
    token, busy = await ours.issue(), await ours.issue()
    for _ in range(4):
        await renamed(ours, busy, 5)
        await renamed(ours, token, 1)
    size = await seal_all(database.app_url)
    positions = [event.position for event in await read(ours) if event.subject == token.id]
    assert len(positions) == 5
    for limit in (1, 2, 5, 100):
        for after in range(size + 1):
            events = await read(ours, LogFilter(subject=token.id), limit=limit, after=after)
            assert [event.position for event in events] == [each for each in positions if each > after]
    first = await window(ours.pool, ours.account, after=0, until=size, filter=LogFilter(subject=token.id), limit=5)
    assert first.reached == positions[-1]
    rest = await window(ours.pool, ours.account, after=0, until=size, filter=LogFilter(subject=token.id), limit=6)
    assert rest.reached == size
    part = await window(
        ours.pool, ours.account, after=0, until=positions[2] - 1, filter=LogFilter(subject=token.id), limit=6
    )
    assert (len(part.events), part.reached) == (2, positions[2] - 1)


async def test_windows_are_limited_by_the_size_of_their_entries(
    database: Database, ours: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed_log, "_BYTES", 7_000)
    monkeypatch.setattr(sealed_log, "_ROWS", 2)
    token = await ours.issue(description="x" * 1_500)
    for letter in "abcdef":
        await ours.ask(commands.Update, token.id, description=letter * 1_500)
    size = await seal_all(database.app_url)
    found = await windows(ours, EVERYTHING, limit=1_000)
    assert len(found) == 2
    assert [event.position for each in found for event in each.events] == list(range(1, size + 1))
    assert all(len(each.events) <= 4 for each in found)


async def test_an_account_sees_only_its_own_events_and_the_whole_log_has_its_own_positions(
    database: Database, ours: Tenant
) -> None:
    async with tenant_of(database) as theirs:
        theirs.numbers = ours.numbers
        tokens = [await each.issue() for _ in range(3) for each in (ours, theirs)]
        size = await seal_all(database.app_url)
        for tenant in (ours, theirs):
            events = await read(tenant)
            assert {event.account for event in events} == {tenant.account}
            assert [event.position for event in events] == list(range(1, len(events) + 1))
        for wanted in (LogFilter(subject=tokens[1].id), LogFilter(actors=(theirs.account,))):
            assert await read(ours, wanted) == []
        assert size == await head_of(ours.pool, None) == sum([len(await read(each)) for each in (ours, theirs)])
        whole = await window(ours.pool, None, after=0, until=size, filter=EVERYTHING, limit=1_000)
        assert [event.position for event in whole.events] == list(range(1, size + 1))
        of_one = await window(ours.pool, None, after=0, until=size, filter=LogFilter(subject=tokens[1].id), limit=9)
        assert [(event.account, event.subject) for event in of_one.events] == [(theirs.account, tokens[1].id)]
