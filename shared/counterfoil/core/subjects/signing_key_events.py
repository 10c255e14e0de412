"""Events and commands of the signing keys."""

from __future__ import annotations

from typing import Final

import msgspec

from counterfoil.core.events import Event
from counterfoil.core.subjects.subject import Command


class KeyCreated(Event, frozen=True, kw_only=True):
    """The first key was created, and it signs. `jwk` is its public part (RFC 7517), `kid` its RFC 7638 thumbprint."""

    kid: str
    jwk: dict[str, str]


class KeyPublished(Event, frozen=True, kw_only=True):
    """Another key was published; it waits until every service can have fetched it."""

    kid: str
    jwk: dict[str, str]


class KeyRetired(Event, frozen=True, kw_only=True):
    """A key no longer signs; bearers that it signed stay valid. Its private part was deleted."""

    kid: str


class KeyActivated(Event, frozen=True, kw_only=True):
    """A key signs from now on."""

    kid: str


class KeyRemoved(Event, frozen=True, kw_only=True):
    """A key no longer verifies; in an emergency the private part of the event has the reason."""

    kid: str


class BearerLifetimeExtended(Event, frozen=True, kw_only=True):
    """Bearers may live longer than before, for so many seconds."""

    seconds: int


EVENTS: Final[dict[str, type[Event]]] = {
    "created": KeyCreated,
    "published": KeyPublished,
    "retired": KeyRetired,
    "activated": KeyActivated,
    "removed": KeyRemoved,
    "bearer_lifetime_extended": BearerLifetimeExtended,
}


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A newly made key; its private part is encrypted and stored outside the log."""

    kid: str
    jwk: dict[str, str]
    encrypted_private_key: bytes

    def __repr__(self) -> str:
        return f"NewKey({self.kid})"


class PublishKey(Command, frozen=True, kw_only=True):
    """Publish another key; the very first key signs at once."""

    new_key: NewKey


class ActivateKey(Command, frozen=True, kw_only=True):
    """Activate the published key and retire the active one; in an `emergency`, before every service has fetched it."""

    kid: str
    emergency: bool = False


class RemoveKey(Command, frozen=True, kw_only=True):
    """Remove a key, so that it no longer verifies.

    Without a `reason` the key must have been retired for long enough; with one it is an emergency, and any key may be
    removed. If it is the active key, the `successor` signs in its place, or else the published key.
    """

    kid: str
    reason: str = ""
    successor: NewKey | None = None


class ExtendBearerLifetime(Command, frozen=True, kw_only=True):
    """State how long bearers may live, before the first one is issued; retired keys are kept accordingly."""

    seconds: int


COMMANDS: Final = (PublishKey, ActivateKey, RemoveKey, ExtendBearerLifetime)
