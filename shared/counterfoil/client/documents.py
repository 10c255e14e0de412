"""What the ledger answers, as this client reads it; fields that it does not know are left aside."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from counterfoil.core.trust import Trust


class Secret:
    """What opens something, until it is asked for as `plain`; it cannot print itself."""

    __slots__ = ("plain",)

    def __init__(self, plain: str) -> None:
        self.plain = plain

    def __repr__(self) -> str:
        return "Secret(…)"


_NONE: Final = Secret("")


class Owner(msgspec.Struct, frozen=True):
    """On whose behalf a token acts."""

    type: str
    id: str


class Actor(msgspec.Struct, frozen=True):
    """By whom something was done, and what they are called now: a token's number and name, a user's e-mail address."""

    kind: str
    id: UUID
    number: int | None = None
    name: str | None = None


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a token: what it says is in `data`, names and free text, which can be erased, in `private`."""

    version: int
    type: str
    at: datetime
    by: Actor
    data: dict[str, Any] = {}
    private: dict[str, Any] | None = None


class Change(msgspec.Struct, frozen=True):
    """One field, as it was and as it became."""

    before: Any
    after: Any


class AccountEvent(Happening, frozen=True, kw_only=True):
    """One thing that happened to the account, a user, the catalogue or a bulk revocation, and what it changed."""

    subject: Actor
    changes: dict[str, Change] | None = None


class AsOf(msgspec.Struct, frozen=True, kw_only=True):
    """The past moment that a token is shown at, and the event that decided what it was good for: of which subject."""

    at: datetime
    subject: Actor
    decided_by: Happening


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done as it was asked for and deserves a second look, such as `never-expires`."""

    code: str
    detail: str


class TokenPlanned(msgspec.Struct, frozen=True, kw_only=True):
    """One of the tokens that are meant."""

    id: UUID
    number: int
    name: str | None
    owner: Owner
    last_used_at: datetime | None


class Children(msgspec.Struct, frozen=True, kw_only=True):
    """What a token or a user made, when they are ended.

    `living` tokens are not revoked and live on; or, with children, `ending` are revoked by the job `revocation`, and
    `left_alone` belong to owners whose tokens the caller may not end. A dry run has a `sample`.
    """

    living: int | None = None
    list: str | None = None
    ending: int | None = None
    left_alone: int | None = None
    sample: tuple[TokenPlanned, ...] = ()
    revocation: UUID | None = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is, or was; `revision` is what `if_match` takes."""

    id: UUID
    number: int
    account: UUID
    owner: Owner
    creator: Actor
    name: str | None
    description: str
    scopes: tuple[str, ...]
    effective_scopes: tuple[str, ...]
    metadata: dict[str, str]
    status: str
    refused: str | None
    lifetime: str | None
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    last_exchanged_at: datetime | None
    last_used_at: datetime | None
    generation: int
    previous_secret_until: datetime | None
    stub: str
    revision: int
    reason: str | None
    dialect: str
    networks: tuple[str, ...] = ()
    rate_limit: str | None = None
    max_uses: int | None = None
    uses_left: int | None = None
    trust: Trust | None = None
    trust_by: Actor | None = None
    as_of: AsOf | None = None
    warnings: tuple[Advice, ...] = ()
    children: Children | None = None


class Issued(msgspec.Struct, frozen=True):
    """A token with its new secret: the only time that it is shown. That of a token that a trust opens is empty.

    `ended_early` is when a secret from an earlier grace, which this rotation ended, would have ended by itself.
    """

    token: Token
    secret: Secret = _NONE
    ended_early: datetime | None = None


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """A short-lived bearer that a token was exchanged for; `access_token.plain` goes into the Authorization header."""

    access_token: Secret
    token_type: str
    expires_in: int
    scope: str
    jti: UUID


class Introspection(msgspec.Struct, frozen=True):
    """Whether a secret or bearer is good (RFC 7662), and what it says."""

    active: bool
    facts: dict[str, Any]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A token that expires soon or has expired (`kind` is expiring or expired).

    At `at` the notice of `threshold_seconds` was raised; both are None where none was. `owner_status` is disabled where
    the user who owns it is, else active.
    """

    kind: str
    at: datetime | None
    threshold_seconds: int | None
    left_seconds: int
    recent_uses: int
    owner_status: str = "active"
    token: Token


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """How often one thing was tried in vain within one minute; `network` is where the latest came from."""

    minute: datetime
    kind: str
    subject: UUID | None
    named: Actor | None = None
    network: str
    count: int
    last_at: datetime


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What an account asks of its tokens and of where it is used from; None and empty mean no rule."""

    max_lifetime: str | None = None
    default_lifetime: str | None = None
    notices: tuple[str, ...] | None = None
    networks: tuple[str, ...] = ()
    catalogue_closed: bool = False


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account; at `valid_after` all secrets that it had were ended."""

    id: UUID
    name: str | None
    parent: UUID | None
    policy: Policy
    valid_after: datetime | None
    created_at: datetime
    updated_at: datetime
    revision: int


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A scope of the catalogue."""

    scope: str
    sentence: str
    documentation: str | None = None
    built_in: bool = False
    revision: int | None = None


class ScopeSet(msgspec.Struct, frozen=True, kw_only=True):
    """Scopes that are granted together."""

    name: str
    sentence: str
    scopes: tuple[str, ...]
    built_in: bool = False
    revision: int | None = None


class OwnerQuota(msgspec.Struct, frozen=True, kw_only=True):
    """How often all of an owner's tokens may be used, and how many of them may live; None is any number."""

    owner: Owner
    rate_limit: str | None
    max_uses: int | None
    uses_left: int | None
    max_tokens: int | None
    tokens: int
    created_at: datetime
    updated_at: datetime
    revision: int


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor's API that the service can speak, and does if it is `on`; `base_url` is for the vendor's client."""

    name: str
    title: str
    on: bool
    base_url: str
    openapi: str


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user; `if_match` takes the `revision`, `Password` the `login`; `recovery_codes` are how many are left."""

    id: UUID
    number: int | None
    account: UUID
    email: str | None
    role: str
    scopes: tuple[str, ...]
    status: str
    totp: bool
    recovery_codes: int
    created_at: datetime
    updated_at: datetime
    revision: int
    login: str | None = None
    children: Children | None = None


class UserWithPassword(msgspec.Struct, frozen=True, kw_only=True):
    """A user, and the password that was made up for them: the only time that it is shown."""

    user: User
    password: Secret | None


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """A seed for an authenticator: as text, as an otpauth address, and as a QR code (SVG)."""

    secret: Secret
    uri: Secret
    qr: Secret


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """A user who has to give one-time codes from now on, and the codes for when the authenticator is lost."""

    user: User
    recovery_codes: tuple[Secret, ...]


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who logged in, and the token that they got."""

    user: User
    issued: Issued
