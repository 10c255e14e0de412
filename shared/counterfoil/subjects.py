"""The small subjects beside tokens: accounts, users and signing keys, each created once for now.

Each has its events, its one command, its state and its `decide` and `evolve`, like tokens do.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from . import text
from .events import TOKEN_EVENTS, Event, Fact, Private
from .principal import Principal
from .refusals import AlreadyExists

Role = Literal["administrator"]


class AccountCreated(Event, frozen=True, kw_only=True):
    """An account came to be; its name is private."""


class UserCreated(Event, frozen=True, kw_only=True):
    """A user came to be; the e-mail address is private (as `name`)."""

    role: Role


class KeyCreated(Event, frozen=True, kw_only=True):
    """A key to sign bearers with came to be. `jwk` is its public part (RFC 7517), `id` its RFC 7638 thumbprint."""

    kid: str
    jwk: dict[str, str]


KINDS: Final[dict[str, dict[str, type[Event]]]] = {
    "token": TOKEN_EVENTS,
    "account": {"created": AccountCreated},
    "user": {"created": UserCreated},
    "key": {"created": KeyCreated},
}
"""Every event by the kind of its subject and its sealed word."""

TYPE_OF: Final = {event: word for words in KINDS.values() for word, event in words.items()}
"""The sealed word of each event class."""


class SubjectCommand(msgspec.Struct, frozen=True, kw_only=True):
    """Something asked of an account, a user or a key."""

    account: UUID
    id: UUID
    by: Principal


class CreateAccount(SubjectCommand, frozen=True, kw_only=True):
    """Open an account; `id` and `account` are the same."""

    name: str


class CreateUser(SubjectCommand, frozen=True, kw_only=True):
    """Add a user, with the argon2id hash of a password that is kept beside the log, never in it."""

    email: str
    role: Role
    password_hash: str


class CreateKey(SubjectCommand, frozen=True, kw_only=True):
    """Add a signing key; the private part arrives encrypted and is kept beside the log."""

    kid: str
    jwk: dict[str, str]
    sealed_private: bytes


KIND_OF: Final[dict[type[SubjectCommand], str]] = {CreateAccount: "account", CreateUser: "user", CreateKey: "key"}
"""The kind of subject that each command is about."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a small subject: what its creation said."""

    account: UUID
    id: UUID
    kind: str
    name: str | None
    details: dict[str, str | dict[str, str]]
    created_at: datetime
    version: int
    at: datetime


def decide(made: Made | None, command: SubjectCommand) -> list[Event]:
    """Return what happens if this is asked, or raise a Refusal."""
    if made is not None:
        raise AlreadyExists
    match command:
        case CreateAccount(name=name):
            return [AccountCreated(private=Private(name=text.checked_name(name)))]
        case CreateUser(email=email, role=role):
            return [UserCreated(role=role, private=Private(name=text.checked("email", email, text.NAME_LIMIT)))]
        case CreateKey(kid=kid, jwk=jwk):
            return [KeyCreated(kid=kid, jwk=jwk)]
    raise TypeError(f"no such command: {type(command).__name__}")


def evolve(made: Made | None, fact: Fact) -> Made:
    """Return the state after one more thing happened."""
    if made is not None:
        raise ValueError(f"{fact.subject.kind} {fact.subject.id} was created twice")
    details = msgspec.to_builtins(fact.event)
    said = details.pop("private") or {}
    return Made(
        account=fact.account, id=fact.subject.id, kind=fact.subject.kind, name=said.get("name"), details=details,
        created_at=fact.at, version=fact.version, at=fact.at,
    )  # fmt: skip
