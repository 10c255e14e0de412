"""How many tokens an owner has, and whether the owner's quota allows one more."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec.structs import replace

from counterfoil.core.refusals import OwnerQuotaExceeded
from counterfoil.core.subjects.token.state import Token, is_session


class Room(msgspec.Struct, frozen=True):
    """The number of live tokens of an owner, without sessions, and the most allowed."""

    max_tokens: int
    live: int
    at: datetime


def is_live(token: Token, at: datetime) -> bool:
    """Say whether a token counts against its owner's quota: not revoked, not expired, and no session."""
    ended = token.status == "revoked" or (token.expires_at is not None and token.expires_at <= at)
    return not ended and not is_session(token.dialect)


def room_after(room: Room, before: Token | None, after: Token) -> Room:
    """Return the room after a token of the owner changed, or raise OwnerQuotaExceeded if there is too little."""
    more = is_live(after, room.at) - (before is not None and is_live(before, room.at))
    if more > 0 and room.live >= room.max_tokens:
        raise OwnerQuotaExceeded(
            f"{after.owner.type}:{after.owner.id} has {room.live} live tokens, and its quota allows {room.max_tokens};"
            " revoke one of them, or raise the quota's max_tokens.",
            max_tokens=room.max_tokens, live=room.live,
        )  # fmt: skip
    return replace(room, live=room.live + more)
