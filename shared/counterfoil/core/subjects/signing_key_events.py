"""Events and commands of the signing keys."""

from __future__ import annotations

from typing import Final

import msgspec

from counterfoil.core.events import Event
from counterfoil.core.subjects.subject import SubjectCommand


class KeyCreated(Event, frozen=True, kw_only=True):
    """The first key was created, and signs. `jwk` is its public part (RFC 7517), `kid` its RFC 7638 thumbprint."""

    kid: str
    jwk: dict[str, str]


class KeyPublished(Event, frozen=True, kw_only=True):
    """Another key can be fetched, and waits until everybody has it."""

    kid: str
    jwk: dict[str, str]


class KeyRetired(Event, frozen=True, kw_only=True):
    """A key signs no more; what it signed is still good. Its private part is gone."""

    kid: str


class KeyActivated(Event, frozen=True, kw_only=True):
    """A key signs from now on."""

    kid: str


class KeyRemoved(Event, frozen=True, kw_only=True):
    """A key verifies nothing any more; in an emergency the private part says why."""

    kid: str


class BearerLifetimeExtended(Event, frozen=True, kw_only=True):
    """Bearers may live for so many seconds, longer than before."""

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
    """A key that was just made; the private part is encrypted and is kept beside the log."""

    kid: str
    jwk: dict[str, str]
    encrypted_private_key: bytes

    def __repr__(self) -> str:
        return f"NewKey({self.kid})"


class PublishKey(SubjectCommand, frozen=True, kw_only=True):
    """Publish another key; the very first one signs at once."""

    new_key: NewKey


class ActivateKey(SubjectCommand, frozen=True, kw_only=True):
    """Let the key that waits sign, and retire the one that does; in an `emergency` before everybody has it."""

    kid: str
    emergency: bool = False


class RemoveKey(SubjectCommand, frozen=True, kw_only=True):
    """Let a key verify nothing any more.

    Without a `reason` only one that is retired for long enough; with one, it is an emergency and may be any. If it is
    the one that signs, the `successor` signs in its place, or else the one that waits.
    """

    kid: str
    reason: str = ""
    successor: NewKey | None = None


class ExtendBearerLifetime(SubjectCommand, frozen=True, kw_only=True):
    """State how long bearers may live, before the first one is issued; retired keys are kept accordingly."""

    seconds: int


COMMANDS: Final = (PublishKey, ActivateKey, RemoveKey, ExtendBearerLifetime)
