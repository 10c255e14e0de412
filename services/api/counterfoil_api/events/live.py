"""The base class of live streams, which send what follows a position of the log until their reader leaves.

A subclass decides what a stream shows of the events: the log itself, or a dialect's view.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from time import monotonic
from typing import Final, Self
from uuid import UUID

import asyncpg

from counterfoil.core.refusals import Overloaded
from counterfoil.postgres.connection import LOST
from counterfoil.postgres.sealed_log import LogFilter, SealedEvent, window
from counterfoil_api.events.batches import Piece
from counterfoil_api.events.feeds import Feed
from counterfoil_api.events.held_callers import HeldCaller
from counterfoil_api.events.streams import CREDENTIAL, STOPPING, Streams

TRUSTED_SECONDS: Final = 4.0
"""Events are sent only if the caller was checked within this time."""
UNCONFIRMED_SECONDS: Final = 60.0
"""A stream ends if its caller could not be checked for this long."""
_WINDOW: Final = 250
_PAUSE_SECONDS: Final = 1.0


class LiveStream(ABC):
    """The chunks of one stream. It keeps its position, and reads what follows from the feed or from the log.

    After `silence_seconds` without an event it sends a keep-alive line, which also detects that the reader has left.
    """

    silence_seconds: float = 5.0

    def __init__(
        self, streams: Streams, caller: HeldCaller, log: UUID | None, wanted: LogFilter, *, after: int, first: bytes
    ) -> None:
        self.account: UUID = caller.principal.account
        """The account that the stream counts for."""
        self.caller = caller
        self._streams, self._log, self._filter = streams, log, wanted
        self._position = after
        self._wake = asyncio.Event()
        self._ended: str | None = None
        self._sent_ending = False
        self._confirmed = self._sent_at = monotonic()
        self._first = first
        streams.enter(self)
        self._feed = streams.feeds.follow(log, self._wake.set)

    @abstractmethod
    async def _from_feed(self, feed: Feed) -> Piece:
        """Return the piece after the position from the shared feed."""

    @abstractmethod
    async def _from_log(self, events: list[SealedEvent], reached: int) -> Piece:
        """Return the piece after the position, read for this stream alone."""

    @abstractmethod
    def _keep_alive(self) -> bytes:
        """Return the line by which a reader learns that nothing new exists after the position."""

    @abstractmethod
    def _ending(self) -> bytes:
        """Return the last line of a stream whose credential ended; empty if its form has none."""

    @abstractmethod
    def _note_read(self, piece: Piece) -> None:
        """Log or count a piece before it is sent."""

    def confirm(self, as_of: float) -> None:
        """Note that the caller had access at this time of `monotonic`."""
        self._confirmed = as_of
        self._wake.set()

    def end(self, reason: str) -> None:
        """End the stream for this reason; it sends only its last line."""
        self._ended = self._ended or reason
        self._wake.set()

    async def aclose(self) -> None:
        """Leave the feed, and stop counting for the account."""
        self._streams.leave(self, self._ended or "reader-gone")
        self._streams.feeds.leave(self._feed, self._wake.set)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        while not self._is_over():
            self._wake.clear()
            piece = await self._piece() if self._trusted() else None
            if self._is_over():  # while the database was read
                break
            if piece is not None and self._take(piece):
                self._sent_at = monotonic()
                return piece.data
            if monotonic() >= self._sent_at + self.silence_seconds:
                self._sent_at = monotonic()
                return self._keep_alive()
            if piece is None:
                await self._pause()
        return self._last()

    def _is_over(self) -> bool:
        return self._ended is not None

    def _trusted(self) -> bool:
        unconfirmed = monotonic() - self._confirmed
        if unconfirmed > UNCONFIRMED_SECONDS:
            self.end("unconfirmed")
        return unconfirmed < TRUSTED_SECONDS

    def _last(self) -> bytes:
        if self._ended == CREDENTIAL and not self._sent_ending:
            self._sent_ending = True
            if last := self._ending():
                return last
        if self._ended in (CREDENTIAL, STOPPING):
            raise StopAsyncIteration
        raise Overloaded  # the reader sees an incomplete answer, and reconnects

    async def _piece(self) -> Piece | None:
        """Return the piece after the position; None if there is none yet."""
        feed = self._feed
        if feed.start is None or feed.reached is None or self._position >= feed.reached:
            return None
        if self._position >= feed.start:
            return await self._from_feed(feed)
        try:
            async with self._streams.catching_up:
                found = await window(
                    self._streams.readers, self._log, after=self._position, until=feed.start,
                    filter=self._filter, limit=_WINDOW,
                )  # fmt: skip
        except (*LOST, asyncpg.PostgresError):
            return None
        return await self._from_log(found.events, found.reached)

    def _take(self, piece: Piece) -> bool:
        """Move to the end of a piece, and say whether it shows anything."""
        self._note_read(piece)
        self._position = piece.reached
        return bool(piece.data)

    async def _pause(self) -> None:
        """Wait for news, or for the time of the next line."""
        seconds = min(_PAUSE_SECONDS, self._sent_at + self.silence_seconds - monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.01)):
                await self._wake.wait()
