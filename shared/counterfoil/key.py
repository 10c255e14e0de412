"""A signing key: what bearers are signed with."""

from __future__ import annotations

from typing import Final

from .events import Event, Fact
from .refusals import AlreadyExists
from .small import Around, Small, SubjectCommand, born, no_command, unexpected


class KeyCreated(Event, frozen=True, kw_only=True):
    """A key to sign bearers with came to be. `jwk` is its public part (RFC 7517), `kid` its RFC 7638 thumbprint."""

    kid: str
    jwk: dict[str, str]


EVENTS: Final[dict[str, type[Event]]] = {"created": KeyCreated}


class CreateKey(SubjectCommand, frozen=True, kw_only=True):
    """Add a signing key; the private part arrives encrypted and is kept beside the log."""

    kid: str
    jwk: dict[str, str]
    sealed_private: bytes


COMMANDS: Final = (CreateKey,)


class Key(Small, frozen=True, kw_only=True):
    """The present state of a signing key."""

    kid: str
    jwk: dict[str, str]


def decide(key: Key | None, command: SubjectCommand, _: Around) -> list[Event]:
    """Return what happens if this is asked of this key, or raise a Refusal."""
    match command:
        case CreateKey(kid=kid, jwk=jwk):
            if key is not None:
                raise AlreadyExists
            return [KeyCreated(kid=kid, jwk=jwk)]
    raise no_command(command)


def evolve(key: Key | None, fact: Fact) -> Key:
    """Return the state after one more thing happened."""
    match fact.event:
        case KeyCreated(kid=kid, jwk=jwk) if key is None:
            return born(Key, fact, kid=kid, jwk=jwk)
    raise unexpected(fact)
