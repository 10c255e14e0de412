"""One live stream of the log from a position on."""

from __future__ import annotations

from counterfoil.postgres.sealed_log import SealedEvent
from counterfoil_api.events.batches import Form, Piece, Shape, ending, keep_alive, opening, pieces_of
from counterfoil_api.events.feeds import Feed
from counterfoil_api.events.held_callers import HeldCaller
from counterfoil_api.events.live import LiveStream
from counterfoil_api.events.streams import CREDENTIAL, Streams
from counterfoil_api.native.events.log_request import LogRequest


class Stream(LiveStream):
    """Events as lines or as Server-Sent Events."""

    def __init__(self, streams: Streams, request: LogRequest, form: Form, caller: HeldCaller) -> None:
        self._request = request
        self._shape = Shape(form, request.sight, request.wanted)
        first = opening(form, request.after)
        super().__init__(streams, caller, request.account, request.wanted, after=request.after, first=first)

    async def _from_feed(self, feed: Feed) -> Piece:
        return feed.piece_after(self._position, self._shape)

    async def _from_log(self, events: list[SealedEvent], reached: int) -> Piece:
        # Only the first piece of a long window: the rest is read again, not kept for a reader who may be slow.
        return next(iter(pieces_of(events, reached, self._shape)))

    def _keep_alive(self) -> bytes:
        return keep_alive(self._shape.form, self._position)

    def _ending(self) -> bytes:
        return ending(self._shape.form, CREDENTIAL)

    def _note_read(self, piece: Piece) -> None:
        self._request.note(first=self._position + 1, last=piece.reached, rows=piece.shown)
