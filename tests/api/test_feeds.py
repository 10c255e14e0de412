"""A feed reads up to every announced position, and nothing of a log that was replaced."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast
from uuid import UUID

import pytest
import pytest_asyncio

from counterfoil.postgres.connection import Pool
from counterfoil.postgres.sealed_log import head_of
from counterfoil_api.events import feeds
from counterfoil_api.events.feeds import Feed, Feeds, Kept
from counterfoil_api.events.log_watch import LogWatch
from counterfoil_dev.postgres import Database
from postgres.sealing import seal_all
from postgres.tenant import Tenant, tenant_of

SECONDS = 20


@pytest_asyncio.fixture
async def ours(database: Database) -> AsyncIterator[Tenant]:
    async with tenant_of(database) as tenant:
        yield tenant


async def reached(feed: Feed, position: int) -> None:
    async with asyncio.timeout(SECONDS):
        while feed.reached != position:  # noqa: ASYNC110 - nobody tells a test
            await asyncio.sleep(0.01)


async def test_a_feed_notified_during_a_read_reads_again(
    database: Database, ours: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ours.issue()
    await seal_all(database.app_url)
    requested = asyncio.Event()

    async def ask(pool: Pool, account: UUID | None) -> int:
        head = await head_of(pool, account)
        if not requested.is_set():
            await ours.issue()
            await seal_all(database.app_url)
            feed.grow(None)
            requested.set()
        return head

    monkeypatch.setattr(feeds, "head_of", ask)
    feed = Feed(ours.pool, ours.account, turns=asyncio.Semaphore(1), kept=Kept())
    try:
        async with asyncio.timeout(SECONDS):
            await requested.wait()
        await reached(feed, await head_of(ours.pool, ours.account))
    finally:
        await feed.close()


class Shrinking:
    """A log that is replaced by a shorter one on request."""

    def __init__(self, size: int) -> None:
        self.size, self.changed = size, asyncio.Event()

    async def other_than(self, size: int | None) -> int:
        while size == self.size:
            self.changed.clear()
            await self.changed.wait()
        return self.size

    def become(self, size: int) -> None:
        self.size = size
        self.changed.set()


async def test_a_reader_that_comes_after_the_log_was_replaced_gets_nothing_of_the_old_one(
    database: Database, ours: Tenant
) -> None:
    await ours.issue()
    size = await seal_all(database.app_url)
    watch, replaced = Shrinking(size), asyncio.Event()
    async with Feeds(ours.pool, cast("LogWatch", watch), replaced=replaced.set) as every:
        stalled, later = asyncio.Event(), asyncio.Event()
        before = every.follow(ours.account, stalled.set)
        await reached(before, await head_of(ours.pool, ours.account))
        watch.become(size - 1)
        async with asyncio.timeout(SECONDS):
            await replaced.wait()
        after = every.follow(ours.account, later.set)
        assert after is not before
        every.leave(before, stalled.set)
        assert every.follow(ours.account, later.set) is after
        every.leave(after, later.set)
