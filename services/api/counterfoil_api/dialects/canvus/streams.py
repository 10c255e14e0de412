"""Subscriptions: the tokens of a user, or one of them, and then every change as the log seals it.

The first line is the answer to the same request without `subscribe`; every other line is a changed token.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta
from msgspec.structs import replace as with_fields

from counterfoil.core.codec import entry_of
from counterfoil.core.events import Private
from counterfoil.core.principal import Owner
from counterfoil.core.subjects.token.events import UNREVISED
from counterfoil.core.subjects.token.state import is_session
from counterfoil.postgres.listing import Listed, one
from counterfoil.postgres.sealed_log import LogFilter, SealedEvent
from counterfoil_api.auth.principals import is_for
from counterfoil_api.dialects.canvus.documents import AccessToken, local, token_document
from counterfoil_api.dialects.canvus.ids import id_of
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.events.batches import PIECE_BYTES, Piece
from counterfoil_api.events.feeds import Feed
from counterfoil_api.events.held_callers import HeldCaller
from counterfoil_api.events.lines import printable
from counterfoil_api.events.live import LiveStream
from counterfoil_api.events.streams import Streams
from counterfoil_api.operations.replies import encode

_NONE: Final = "false", "0"


class Subscribing(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the request asks for a stream."""

    subscribe: (
        Annotated[
            str,
            Meta(
                description="With it, also without a value, the answer does not end: its first line is the current "
                "state, every other line a changed token with its `state`. A blank line means that nothing changed.",
                examples=["true"],
                max_length=16,
            ),
        ]
        | None
    ) = None

    @property
    def subscribes(self) -> bool:
        """Whether it does."""
        return self.subscribe is not None and self.subscribe.lower() not in _NONE


class Watched(NamedTuple):
    """The tokens that a stream shows: all of an owner, or `only` one of them."""

    owner: Owner
    only: UUID | None = None

    @property
    def filter(self) -> LogFilter:
        """Which events may concern it."""
        return LogFilter(subject=self.only, kinds=("token",))


class _Known(NamedTuple):
    version: int
    shown: AccessToken


class Subscription(LiveStream):
    """One stream. It remembers what it has sent of each token, so that it sends no change twice."""

    silence_seconds = 15.0

    def __init__(
        self,
        tokens: Tokens,
        streams: Streams,
        caller: HeldCaller,
        watched: Watched,
        found: Iterable[Listed],
        *,
        after: int,
        read_at: datetime,
    ) -> None:
        """Send what was `found`, and then what follows the position `after`. `read_at` is later than both."""
        self._tokens, self._watched, self._read_at = tokens, watched, read_at
        self._known = {
            each.token.id: _Known(each.token.version, with_fields(token_document(tokens, each.token), state="normal"))
            for each in found
        }
        first = [known.shown for known in self._known.values()]
        line = _line(first if watched.only is None else first[0])
        super().__init__(streams, caller, caller.principal.account, watched.filter, after=after, first=line)

    async def _from_feed(self, feed: Feed) -> Piece:
        return await self._from_log(*feed.events_after(self._position))

    async def _from_log(self, events: list[SealedEvent], reached: int) -> Piece:
        lines, size = list[bytes](), 0
        for event in events:
            token = await self._changed(event)
            if token is not None:
                lines.append(_line(token))
                size += len(lines[-1])
            if size >= PIECE_BYTES:
                return Piece(b"".join(lines), event.position, len(lines))
        return Piece(b"".join(lines), reached, len(lines))

    def _keep_alive(self) -> bytes:
        return b"\n"

    def _ending(self) -> bytes:
        return b""

    def _note_read(self, piece: Piece) -> None:
        caller, only = self.caller.principal, self._watched.only
        if not piece.shown or is_for(caller, self._watched.owner):
            return
        if only is None:
            self._tokens.reading.access_log.note(caller, "list", rows=piece.shown)
        else:
            self._tokens.reading.access_log.note(caller, "token", rows=piece.shown, tokens=(only,))

    async def _changed(self, event: SealedEvent) -> AccessToken | None:
        """Return the token that an event changed, and remember it as sent."""
        if event.kind != "token":
            return None
        known = self._known.get(event.subject)
        if known is None:
            return await self._created(event)
        if event.version <= known.version:  # the first line has it
            return None
        token = known.shown
        match event.type:
            case "updated" if (name := _name_in(event)) is not None:
                token = with_fields(token, description=name)
            case "erased":
                token = with_fields(token, description="")
            case "revoked":
                del self._known[event.subject]
                return with_fields(token, state="deleted")
        self._known[event.subject] = _Known(event.version, token)
        return None if event.type in UNREVISED else token

    async def _created(self, event: SealedEvent) -> AccessToken | None:
        """Return the token that an event created, if the stream shows it."""
        # Most tokens of an account have other owners: their entries need no decoding.
        if event.type != "created" or self._watched.only is not None or self._watched.owner.id not in event.entry:
            return None
        made = msgspec.convert(entry_of(event.entry).data, _Made)
        if made.owner != self._watched.owner or is_session(made.dialect):
            return None
        if event.at <= self._read_at and await self._is_deleted(event):
            return None  # it was deleted before the state was read
        token = AccessToken(
            created_at=local(event.at),
            description=_name_in(event) or "",
            id=id_of(self._tokens.reading.opaque_ids, event.account, event.subject),
            state="normal",
        )
        self._known[event.subject] = _Known(event.version, token)
        return token

    async def _is_deleted(self, event: SealedEvent) -> bool:
        found = await one(self._tokens.reading.pool, event.account, token_id=event.subject)
        return found is None or found.token.status == "revoked"


class _Made(msgspec.Struct, frozen=True):
    """The fields of `created` that this stream needs."""

    owner: Owner
    dialect: str = "native"


def _name_in(event: SealedEvent) -> str | None:
    private = None if event.private is None else msgspec.json.decode(event.private, type=Private)
    return private.name if private is not None and isinstance(private.name, str) else None


def _line(what: AccessToken | list[AccessToken]) -> bytes:
    return printable(encode(what)) + b"\n"
