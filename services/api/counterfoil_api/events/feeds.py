"""Reads newly sealed events once for all streams of this process that follow the same log.

A feed keeps its latest batches. A stream with an earlier position reads from the database until it reaches them. A
stream continues after its position, so it misses no event and gets none twice, whichever batches are dropped.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from operator import attrgetter
from typing import Final, Self
from uuid import UUID

import asyncpg
import structlog

from counterfoil.postgres.connection import LOST, Pool
from counterfoil.postgres.sealed_log import LogFilter, SealedEvent, head_of, last_positions, window
from counterfoil.uses.repeating import in_background
from counterfoil_api.events.batches import Batch, Piece, Shape
from counterfoil_api.events.log_watch import LogWatch

log = structlog.get_logger()

KEPT_BYTES: Final = 32 * 2**20
"""The memory of all feeds of a process, encoded lines included."""
_BATCH: Final = 1_000
_READS_AT_ONCE: Final = 2
_FAR: Final = 10_000
"""If the whole log has grown by more positions than this, every feed reads its own head."""
_PAUSE_SECONDS: Final = 1.0

Wake = Callable[[], None]


class Feed:
    """The growing log of one account, or of all accounts (None)."""

    def __init__(self, pool: Pool, account: UUID | None, *, turns: asyncio.Semaphore, kept: Kept) -> None:
        self.account = account
        self.reached: int | None = None
        """The last position that was read; None until it is known."""
        self.listeners: set[Wake] = set()
        self._pool, self._turns, self._kept = pool, turns, kept
        self._batches: deque[Batch] = deque()
        self._target, self._head_unknown = 0, False
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._read_on())

    @property
    def start(self) -> int | None:
        """The feed has all events after this position."""
        return self._batches[0].after if self._batches else self.reached

    def piece_after(self, position: int, shape: Shape) -> Piece:
        """Return the piece after this position, which lies from `start` on and before `reached`."""
        return self._batches[bisect_right(self._batches, position, key=attrgetter("reached"))].piece_after(
            position, shape
        )

    def events_after(self, position: int) -> tuple[list[SealedEvent], int]:
        """Return the events after this position in one batch, and its end."""
        return self._batch_after(position).events_after(position)

    def _batch_after(self, position: int) -> Batch:
        return self._batches[bisect_right(self._batches, position, key=attrgetter("reached"))]

    def grow(self, target: int | None) -> None:
        """Read up to this position, or up to the present end of the log."""
        if target is None:
            self._head_unknown = True
        else:
            self._target = max(target, self._target)
        self._wake.set()

    def drop_oldest(self) -> None:
        """Drop a batch; streams that still need it read it from the database."""
        self._batches.popleft()

    async def close(self) -> None:
        """Stop reading, and keep nothing."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._kept.forget(self)

    async def _read_on(self) -> None:
        # This feed got no notice of what was sealed before it existed.
        self.grow(None)
        away = False
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._read()
                away = False
            except Exception as error:  # this task must survive every error
                if not away:
                    expected = isinstance(error, (*LOST, asyncpg.PostgresError))
                    log.warning("log_not_read", error=type(error).__name__, exc_info=None if expected else error)
                away = True
                await asyncio.sleep(_PAUSE_SECONDS)
                self.grow(None)

    async def _read(self) -> None:
        if self._head_unknown:
            self._head_unknown = False  # before the read, because a later notice may announce more than this read finds
            async with self._turns:
                head = await head_of(self._pool, self.account)
            self._target = max(head, self._target)
            if self.reached is None:
                self.reached = head
                self._wake_listeners()
        while self.reached is not None and self.reached < self._target:
            async with self._turns:
                found = await window(
                    self._pool, self.account, after=self.reached, until=self._target, filter=LogFilter(), limit=_BATCH
                )
            if found.reached == self.reached:
                raise TimeoutError("the announced events are not readable yet")  # perhaps from a replica that lags
            batch = Batch(self.reached, found.reached, found.events, self._kept.grown)
            self.reached = found.reached
            self._batches.append(batch)
            self._kept.add(self, batch)
            self._wake_listeners()

    def _wake_listeners(self) -> None:
        for wake in self.listeners:
            wake()


class Kept:
    """The batches of all feeds, the oldest first, within a limit of bytes."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self.weight = 0
        self._most = most
        self._order: deque[tuple[Feed, Batch]] = deque()

    def add(self, feed: Feed, batch: Batch) -> None:
        """Add the newest batch of a feed."""
        self._order.append((feed, batch))
        self._shrink()

    def grown(self, weight: int) -> None:
        """Count the growth of a batch."""
        self.weight += weight
        self._shrink()

    def forget(self, feed: Feed) -> None:
        """Drop all batches of a feed."""
        self.weight -= sum(batch.weight for each, batch in self._order if each is feed)
        self._order = deque(pair for pair in self._order if pair[0] is not feed)

    def _shrink(self) -> None:
        while self.weight > self._most and self._order:
            feed, batch = self._order.popleft()
            feed.drop_oldest()
            self.weight -= batch.weight


class Feeds:
    """The feeds that streams follow. A feed reads on when the sealer has sealed something for it."""

    def __init__(self, pool: Pool, watch: LogWatch, *, replaced: Callable[[], None]) -> None:
        self._pool, self._watch, self._replaced = pool, watch, replaced
        self._kept = Kept()
        self._turns = asyncio.Semaphore(_READS_AT_ONCE)
        self._feeds: dict[UUID | None, Feed] = {}
        self._outdated: set[Feed] = set()
        """Feeds of a replaced log, until their last reader leaves."""
        self._closing: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(in_background(self._follow_log()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        for feed in (*self._feeds.values(), *self._outdated):
            await feed.close()
        await asyncio.gather(*self._closing)

    def follow(self, account: UUID | None, wake: Wake) -> Feed:
        """Return the feed of a log; `wake` is called whenever it has more."""
        feed = self._feeds.get(account)
        if feed is None:
            feed = self._feeds[account] = Feed(self._pool, account, turns=self._turns, kept=self._kept)
        feed.listeners.add(wake)
        return feed

    def leave(self, feed: Feed, wake: Wake) -> None:
        """Stop following; the last follower closes the feed."""
        if wake not in feed.listeners:
            return
        feed.listeners.discard(wake)
        if not feed.listeners:
            if self._feeds.get(feed.account) is feed:
                del self._feeds[feed.account]
            self._outdated.discard(feed)
            closing = asyncio.create_task(feed.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _follow_log(self) -> None:
        size: int | None = None
        while True:
            before, size = size, await self._watch.other_than(size)
            if before is not None and size < before:
                log.error("log_replaced", what_to_do="find out who restored the database; all streams were cut")
                self._outdated.update(self._feeds.values())
                self._feeds.clear()
                self._replaced()
                continue
            heads = await self._new_heads(before, size)
            for account, feed in self._feeds.items():
                if account is None:
                    feed.grow(size)
                elif heads is None or account in heads:
                    feed.grow(None if heads is None else heads[account])

    async def _new_heads(self, before: int | None, size: int) -> Mapping[UUID, int] | None:
        """Return the new head of each account with news; None if each feed has to read its own."""
        if not self._feeds.keys() - {None}:
            return {}
        if before is None or size - before > _FAR:
            return None
        try:
            return await last_positions(self._pool, after=before, until=size)
        except (*LOST, asyncpg.PostgresError):
            return None
