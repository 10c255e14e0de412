"""What a token was and could do at a past moment, and which event decided it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from counterfoil.events import Created, Fact, Renewed, Resumed, Revoked, Suspended
from counterfoil.token import Status, Token, evolve, status


class Past(msgspec.Struct, frozen=True):
    """The state at a moment, its status then, and the event that made it so."""

    token: Token
    status: Status
    at: datetime
    decided_by: Fact


def past(changes: Sequence[Fact], at: datetime) -> Past | None:
    """Return what these changes (all up to `at`, the oldest first) came to; None before the creation."""
    token: Token | None = None
    for fact in changes:
        token = evolve(token, fact)
    if token is None:
        return None
    then = status(token, at)
    return Past(token, then, at, _decider(changes, then))


def _decider(changes: Sequence[Fact], then: Status) -> Fact:
    """Return the event that a status rests on: for an expired token the one that set its expiry."""
    deciding: tuple[type, ...] = {
        "revoked": (Revoked,),
        "suspended": (Suspended,),
        "expired": (Created, Renewed),
        "active": (Created, Renewed, Resumed),
    }[then]
    return next(fact for fact in reversed(changes) if isinstance(fact.event, deciding))
