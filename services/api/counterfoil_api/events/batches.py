"""Encodes events once for all streams that have the same form, sight and filter."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Final, Literal, NamedTuple

from counterfoil.postgres.sealed_log import LogFilter, SealedEvent
from counterfoil_api.events.lines import Sight, lines, place

Form = Literal["ndjson", "sse"]

PIECE_BYTES: Final = 64 * 2**10
"""The largest piece, unless one event is larger. A slow reader occupies this much memory."""
_EVENT_BYTES: Final = 1_000
"""The memory of one event without its texts."""


class Shape(NamedTuple):
    """The form, sight and filter of a stream: streams with the same shape send the same bytes."""

    form: Form
    sight: Sight
    wanted: LogFilter


class Piece(NamedTuple):
    """Some bytes of a stream, the last position that they cover, and how many events they contain."""

    data: bytes
    reached: int
    shown: int


class Batch:
    """All events after `after` up to `reached`, from one read."""

    def __init__(self, after: int, reached: int, events: list[SealedEvent], grown: Callable[[int], None]) -> None:
        self.after, self.reached = after, reached
        self.weight = 0
        self._events, self._grown = events, grown
        self._pieces: dict[Shape, list[Piece]] = {}
        self._grow(sum(_EVENT_BYTES + len(event.entry) + len(event.private or "") for event in events))

    def piece_after(self, position: int, shape: Shape) -> Piece:
        """Return the piece that follows this position, which is before the end of the batch."""
        pieces = self._pieces.get(shape)
        if pieces is None:
            pieces = self._pieces[shape] = list(pieces_of(self._events, self.reached, shape))
            self._grow(sum(len(piece.data) for piece in pieces))
        at = bisect_right(pieces, position, key=attrgetter("reached"))
        if position == (pieces[at - 1].reached if at else self.after):
            return pieces[at]
        rest = [event for event in self._events if position < event.position <= pieces[at].reached]
        return next(iter(pieces_of(rest, pieces[at].reached, shape)))

    def events_after(self, position: int) -> tuple[list[SealedEvent], int]:
        """Return the events that follow a position of this batch, and where it ends."""
        return [event for event in self._events if event.position > position], self.reached

    def _grow(self, weight: int) -> None:
        self.weight += weight
        self._grown(weight)


def pieces_of(events: Iterable[SealedEvent], reached: int, shape: Shape) -> Iterable[Piece]:
    """Yield the pieces that a stream of this shape sends, at least one; the last one ends at `reached`."""
    parts: list[bytes] = []
    size = position = 0
    for event in events:
        if not shape.wanted.admits(event):
            continue
        part = _encoded(event, shape)
        if parts and size + len(part) > PIECE_BYTES:
            yield Piece(b"".join(parts), position, len(parts))
            parts, size = [], 0
        parts.append(part)
        size += len(part)
        position = event.position
    yield Piece(b"".join(parts), reached, len(parts))


def opening(form: Form, position: int) -> bytes:
    """Return the beginning of a stream: when to reconnect, and from which position."""
    return b"" if form == "ndjson" else b"retry: 1000\nid: %d\n\n" % position


def keep_alive(form: Form, position: int) -> bytes:
    """Return the line by which a reader learns that nothing new exists up to this position."""
    return place(position) if form == "ndjson" else b": keep-alive\nid: %d\n\n" % position


def ending(form: Form, reason: str) -> bytes:
    """Return the last line of a stream whose reader must not reconnect."""
    if form == "ndjson":
        return b'{"end":"%b"}\n' % reason.encode()
    return b'event: end\ndata: {"reason":"%b"}\n\n' % reason.encode()


def _encoded(event: SealedEvent, shape: Shape) -> bytes:
    line = lines((event,), shape.sight)
    return line if shape.form == "ndjson" else b"id: %d\ndata: %b\n" % (event.position, line)
