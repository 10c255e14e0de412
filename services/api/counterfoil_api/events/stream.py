"""One live stream of the log: what its reader gets, from a position on and without an end of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import Final, Self
from uuid import UUID

import asyncpg

from counterfoil.postgres.connection import LOST
from counterfoil.postgres.sealed_log import window
from counterfoil.refusals import Overloaded
from counterfoil.witness import Witness
from counterfoil_api.events.batches import Form, Piece, Shape, ending, keep_alive, opening, pieces_of
from counterfoil_api.events.held_callers import HeldCaller
from counterfoil_api.events.readings import Reading
from counterfoil_api.events.streams import CREDENTIAL, STOPPING, Streams

KEEP_ALIVE_SECONDS: Final = 5.0
"""After so long without a line there is one that says so. It also finds out that nobody is there any more."""
TRUSTED_SECONDS: Final = 4.0
"""No event is shown unless its reader was let in again so lately."""
UNCONFIRMED_SECONDS: Final = 60.0
"""A stream whose caller nobody could ask about for so long is cut."""
_WINDOW: Final = 250
_PAUSE_SECONDS: Final = 1.0


class Stream:
    """The chunks of one stream. It keeps its position and nothing else: what follows is in the feed or in the log."""

    def __init__(self, streams: Streams, witness: Witness, reading: Reading, form: Form, caller: HeldCaller) -> None:
        self.account: UUID = reading.asker.account
        """Whose place it takes."""
        self.caller = caller
        self._streams, self._witness, self._reading = streams, witness, reading
        self._shape = Shape(form, reading.sight, reading.wanted)
        self._position = reading.after
        self._wake = asyncio.Event()
        self._ended: str | None = None
        self._said_last = False
        self._confirmed = self._spoke = monotonic()
        self._first = opening(form, reading.after)
        streams.enter(self)
        self._feed = streams.feeds.follow(reading.account, self._wake.set)

    def confirm(self, as_of: float) -> None:
        """Learn that the caller was still let in at this time of `monotonic`."""
        self._confirmed = as_of
        self._wake.set()

    def end(self, reason: str) -> None:
        """Send nothing more but a last line."""
        self._ended = self._ended or reason
        self._wake.set()

    async def aclose(self) -> None:
        """Give back what it holds, however it ended."""
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
                self._spoke = monotonic()
                return piece.data
            if monotonic() >= self._spoke + KEEP_ALIVE_SECONDS:
                self._spoke = monotonic()
                return keep_alive(self._shape.form, self._position)
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
        if self._ended == CREDENTIAL and not self._said_last:
            self._said_last = True
            return ending(self._shape.form, CREDENTIAL)
        if self._ended in (CREDENTIAL, STOPPING):
            raise StopAsyncIteration
        raise Overloaded  # whoever reads sees that this was not the end, and comes again

    async def _piece(self) -> Piece | None:
        """Return what follows the position, or None if nothing does yet."""
        feed = self._feed
        if feed.start is None or feed.reached is None or self._position >= feed.reached:
            return None
        if self._position >= feed.start:
            return feed.piece_after(self._position, self._shape)
        try:
            async with self._streams.catching_up:
                found = await window(
                    self._streams.readers, self._reading.account, after=self._position, until=feed.start,
                    filter=self._shape.wanted, limit=_WINDOW,
                )  # fmt: skip
        except (*LOST, asyncpg.PostgresError):
            return None
        # Of a long window the first piece: the rest is read again, rather than kept for a reader who may not read.
        return next(iter(pieces_of(found.events, found.reached, self._shape)))

    def _take(self, piece: Piece) -> bool:
        """Go on to the end of a piece, and say whether it shows anything."""
        self._witness.note_log(
            self._reading.asker, first=self._position + 1, last=piece.reached, shown=piece.shown,
            whole=self._reading.account is None,
        )  # fmt: skip
        self._position = piece.reached
        return bool(piece.data)

    async def _pause(self) -> None:
        """Wait for news, or for the time of the next line."""
        seconds = min(_PAUSE_SECONDS, self._spoke + KEEP_ALIVE_SECONDS - monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.01)):
                await self._wake.wait()
