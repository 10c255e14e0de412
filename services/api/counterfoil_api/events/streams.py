"""The live streams of one process: limits their number for each account, checks their callers, and ends them."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from time import monotonic
from typing import Final, Protocol, Self
from uuid import UUID

from counterfoil.core.refusals import Overloaded
from counterfoil.postgres.connection import Pool
from counterfoil.uses.repeating import Repeating, in_background
from counterfoil.uses.signing_keys import Keys
from counterfoil_api.events.feeds import Feeds
from counterfoil_api.events.held_callers import HeldCaller, gone
from counterfoil_api.events.log_watch import LogWatch
from counterfoil_api.http.errors import TooManyStreams
from counterfoil_api.metrics import STREAMS, STREAMS_ENDED

CHECK_SECONDS: Final = 1.5
"""The interval of the checks of all callers."""
_CHECK_PATIENCE_SECONDS: Final = 10.0
_CATCHING_UP_AT_ONCE: Final = 2
_RETRY_SECONDS: Final = 5

CREDENTIAL: Final = "credential-ended"
STOPPING: Final = "shutting-down"
REPLACED: Final = "log-replaced"


class OpenStream(Protocol):
    """A stream of this process."""

    @property
    def account(self) -> UUID:
        """The account that the stream counts for."""

    @property
    def caller(self) -> HeldCaller:
        """The caller who reads it."""

    def confirm(self, as_of: float) -> None:
        """Note that the caller had access at this time."""

    def end(self, reason: str) -> None:
        """End the stream for this reason."""


class Streams:
    """Every live stream of this process, the feeds that they share, and the check of their callers."""

    def __init__(self, url: str, *, readers: Pool, by_key: Pool, keys: Keys, most: int) -> None:
        self.stopping = asyncio.Event()
        """Set when the process stops; endless answers end then."""
        self.readers = readers
        self.catching_up = asyncio.Semaphore(_CATCHING_UP_AT_ONCE)
        """Turns for streams that read from the database, so that other requests keep connections."""
        self._by_key, self._keys, self._most = by_key, keys, most
        self._stack = AsyncExitStack()
        self._watch = LogWatch(url)
        self.feeds = Feeds(readers, self._watch, replaced=self._replaced)
        self._open: set[OpenStream] = set()
        self._accounts: Counter[UUID] = Counter()
        self._checks = Repeating(self._check_callers, seconds=CHECK_SECONDS, failure_event="streams_not_confirmed")

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(in_background(self._watch.watch()))
        await self._stack.enter_async_context(self.feeds)
        self._checks.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        await self._checks.stop()
        await self._stack.aclose()

    def enter(self, stream: OpenStream) -> None:
        """Count a stream for its account, or raise TooManyStreams."""
        account = stream.account
        if self._accounts[account] >= self._most:
            raise TooManyStreams(
                f"Your account has {self._most} live streams open here, which is the most; end one, or wait.",
                retry_after=_RETRY_SECONDS,
            )
        self._accounts[account] += 1
        self._open.add(stream)
        STREAMS.inc()

    def leave(self, stream: OpenStream, reason: str) -> None:
        """Stop counting a stream; a second call does nothing."""
        if stream not in self._open:
            return
        self._open.discard(stream)
        self._accounts[stream.account] -= 1
        if not self._accounts[stream.account]:
            del self._accounts[stream.account]
        STREAMS.dec()
        STREAMS_ENDED.labels(reason).inc()

    async def refuse_gone(self, caller: HeldCaller) -> None:
        """Raise the refusal of a caller who has lost access, or Overloaded when the process ends."""
        if self.stopping.is_set():
            raise Overloaded
        (why,) = await gone(self._by_key, self._keys, [caller])
        if why is not None:
            raise why

    def stop(self) -> None:
        """End all streams, because the process ends."""
        self.stopping.set()
        self._end_all(STOPPING)

    def _replaced(self) -> None:
        self._end_all(REPLACED)

    def _end_all(self, reason: str) -> None:
        for stream in self._open:
            stream.end(reason)

    async def _check_callers(self) -> None:
        checked = list(self._open)
        if not checked:
            return
        as_of = monotonic()
        async with asyncio.timeout(_CHECK_PATIENCE_SECONDS):
            found = await gone(self._by_key, self._keys, [stream.caller for stream in checked])
        for stream, why in zip(checked, found, strict=True):
            if why is None:
                stream.confirm(as_of)
            else:
                stream.end(CREDENTIAL)
