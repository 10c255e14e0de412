"""The signing keys: one subject holds them all, so that one row decides which key signs.

A key is published (it can be fetched, and does not sign yet), then active (it signs), then retired (it only verifies),
then removed (it verifies nothing). Once there is a key, exactly one is active.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from counterfoil.core import text
from counterfoil.core.events import Event, Fact, Private
from counterfoil.core.refusals import AlreadyExists, InUse, NotFound, TooEarly
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.signing_key_events import (
    COMMANDS,
    EVENTS,
    ActivateKey,
    BearerLifetimeExtended,
    ExtendBearerLifetime,
    KeyActivated,
    KeyCreated,
    KeyPublished,
    KeyRemoved,
    KeyRetired,
    NewKey,
    PublishKey,
    RemoveKey,
)
from counterfoil.core.subjects.subject import Command, DecisionContext, SubjectState, no_command, unexpected

RING: Final = UUID(int=1)
"""The one subject, in the account of the system itself."""
PUBLISHED_SECONDS: Final = 600
"""How long a key is published before it signs: longer than a client may cache the key set (see `wellknown`)."""
SKEW_SECONDS: Final = 300
"""A retired key verifies this much longer than a bearer can live: clocks differ, and rotations are read late."""

KeyStatus = Literal["published", "active", "retired", "removed"]
_BEFORE: Final[dict[type[Event], tuple[KeyStatus, ...]]] = {
    KeyActivated: ("published",),
    KeyRetired: ("active",),
    KeyRemoved: ("published", "active", "retired"),
}


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key, and the times of its changes of status."""

    kid: str
    jwk: dict[str, str]
    status: KeyStatus
    published_at: datetime
    activated_at: datetime | None = None
    retired_at: datetime | None = None
    removed_at: datetime | None = None


class Ring(SubjectState, frozen=True, kw_only=True):
    """The present state of all keys, the oldest first; no bearer lives longer than `bearer_seconds`."""

    keys: tuple[SigningKey, ...]
    bearer_seconds: int = 0

    def key(self, kid: str) -> SigningKey | None:
        return next((key for key in self.keys if key.kid == kid), None)

    def first(self, status: KeyStatus) -> SigningKey | None:
        """Return the oldest key with this status; at most one key is active, and at most one is published."""
        return next((key for key in self.keys if key.status == status), None)

    def activation(self, key: SigningKey) -> datetime:
        """Return the time from which a published key may sign."""
        return key.published_at + timedelta(seconds=PUBLISHED_SECONDS)

    def removal(self, key: SigningKey) -> datetime | None:
        """Return when every bearer that the key signed has expired; None while it is active or published."""
        if key.retired_at is None:
            return None
        return key.retired_at + timedelta(seconds=self.bearer_seconds + SKEW_SECONDS)


def decide(ring: Ring | None, command: Command, context: DecisionContext) -> list[Event]:
    if isinstance(command, PublishKey) and ring is None:
        return [KeyCreated(kid=command.new_key.kid, jwk=command.new_key.jwk)]
    if ring is None:
        raise NotFound
    command.refuse_stale(ring)
    match command:
        case PublishKey(new_key=new):
            return [_published(ring, new)]
        case ActivateKey():
            return _activated(ring, command, context.at)
        case RemoveKey():
            return _removed(ring, command, context.at)
        case ExtendBearerLifetime(seconds=seconds):
            return [BearerLifetimeExtended(seconds=seconds)] if seconds > ring.bearer_seconds else []
    raise no_command(command)


def _published(ring: Ring, new: NewKey) -> KeyPublished:
    if ring.key(new.kid) is not None:
        raise AlreadyExists
    if waiting := ring.first("published"):
        raise InUse(f"The key {waiting.kid} is published already and does not sign yet; activate or remove it first.")
    return KeyPublished(kid=new.kid, jwk=new.jwk)


def _activated(ring: Ring, command: ActivateKey, at: datetime) -> list[Event]:
    key = _known(ring, command.kid)
    if key.status == "active":
        return []
    if key.status != "published":
        raise InUse(f"The key {key.kid} is {key.status}; it cannot sign again. Publish a new key.")
    due = ring.activation(key)
    if at < due and not command.emergency:
        raise TooEarly(
            f"Some services may not have fetched this key yet; activate it after {due:%H:%M:%S} UTC.", due=due
        )
    return [*_retired(ring), KeyActivated(kid=key.kid)]


def _removed(ring: Ring, command: RemoveKey, at: datetime) -> list[Event]:
    key = _known(ring, command.kid)
    if key.status == "removed":
        return []
    if not command.reason:
        due = ring.removal(key)
        if due is None:
            raise InUse("This key is not retired; retire it first, or give a reason to remove it in an emergency.")
        if at < due:
            raise TooEarly(f"Bearer tokens of this key are valid until {due:%Y-%m-%d %H:%M:%S} UTC; wait.", due=due)
        return [KeyRemoved(kid=key.kid)]
    events: list[Event] = [KeyRemoved(kid=key.kid, private=Private(reason=text.checked_reason(command.reason)))]
    return events if key.status != "active" else [*events, *_succession(ring, command.successor)]


def _succession(ring: Ring, successor: NewKey | None) -> list[Event]:
    if successor is not None:
        if ring.key(successor.kid) is not None:
            raise AlreadyExists
        return [KeyPublished(kid=successor.kid, jwk=successor.jwk), KeyActivated(kid=successor.kid)]
    if waiting := ring.first("published"):
        return [KeyActivated(kid=waiting.kid)]
    raise InUse("This key signs, and no other key is published to replace it; publish one first.")


def _retired(ring: Ring) -> list[Event]:
    active = ring.first("active")
    return [] if active is None else [KeyRetired(kid=active.kid)]


def _known(ring: Ring, kid: str) -> SigningKey:
    key = ring.key(kid)
    if key is None:
        raise NotFound
    return key


def evolve(ring: Ring | None, fact: Fact) -> Ring:
    match fact.event:
        case KeyCreated(kid=kid, jwk=jwk) if ring is None:
            first = SigningKey(kid=kid, jwk=jwk, status="active", published_at=fact.at, activated_at=fact.at)
            return Ring.created(fact, keys=(first,))
        case KeyPublished(kid=kid, jwk=jwk) if ring is not None and ring.key(kid) is None:
            new = SigningKey(kid=kid, jwk=jwk, status="published", published_at=fact.at)
            return ring.after(fact, keys=(*ring.keys, new))
        case KeyActivated() | KeyRetired() | KeyRemoved() if ring is not None:
            return ring.after(fact, keys=_changed(ring, fact))
        case BearerLifetimeExtended(seconds=seconds) if ring is not None:
            return ring.after(fact, bearer_seconds=seconds)
    raise unexpected(fact)


def _changed(ring: Ring, fact: Fact) -> tuple[SigningKey, ...]:
    event = fact.event
    kid: str = event.kid  # type: ignore[attr-defined] # of those events that have one
    key = ring.key(kid)
    if key is None or key.status not in _BEFORE[type(event)]:
        raise unexpected(fact)
    match event:
        case KeyActivated():
            after = replace(key, status="active", activated_at=fact.at)
        case KeyRetired():
            after = replace(key, status="retired", retired_at=fact.at)
        case _:
            after = replace(key, status="removed", removed_at=fact.at)
    return tuple(after if each is key else each for each in ring.keys)


KIND: Final = Kind("signing_keys", Ring, EVENTS, COMMANDS, decide, evolve)
