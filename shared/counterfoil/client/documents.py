"""What the ledger answers: the API's own documents by short names, and those in which a secret cannot print itself.

A field that only some replies have is UNSET, which is false, in the others.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from counterfoil.documents.account import AccountDocument as Account
from counterfoil.documents.account import PolicyDocument as Policy
from counterfoil.documents.attempts import AttemptDocument as Attempt
from counterfoil.documents.dialects import DialectDocument as Dialect
from counterfoil.documents.events import AccountEventDocument as AccountEvent
from counterfoil.documents.events import ActorDocument as Actor
from counterfoil.documents.events import EventDocument as Happening
from counterfoil.documents.events import SubjectDocument as Subject
from counterfoil.documents.owner_quotas import QuotaDocument as OwnerQuota
from counterfoil.documents.owners import OwnerDocument as Owner
from counterfoil.documents.reads import LogRangeDocument as LogRange
from counterfoil.documents.reads import ReadDocument as Reading
from counterfoil.documents.scope_catalogue import ScopeDocument as Scope
from counterfoil.documents.scope_catalogue import SetDocument as ScopeSet
from counterfoil.documents.tokens import AlertDocument as Alert
from counterfoil.documents.tokens import ChildrenDocument as Children
from counterfoil.documents.tokens import TokenDocument as Token
from counterfoil.documents.tokens import TokenPlanned
from counterfoil.documents.users import UserDocument as User

__all__ = [
    "Account",
    "AccountEvent",
    "Actor",
    "Alert",
    "Attempt",
    "Bearer",
    "Children",
    "Dialect",
    "Enrolled",
    "Enrolment",
    "Happening",
    "Introspection",
    "Issued",
    "LogRange",
    "LoggedIn",
    "Owner",
    "OwnerQuota",
    "Policy",
    "Reading",
    "Scope",
    "ScopeSet",
    "Secret",
    "Subject",
    "Token",
    "TokenPlanned",
    "User",
    "UserWithPassword",
]


class Secret:
    """A secret; only `plain` shows it, and printing the object does not."""

    __slots__ = ("plain",)

    def __init__(self, plain: str) -> None:
        self.plain = plain

    def __repr__(self) -> str:
        return "Secret(…)"


class Issued(msgspec.Struct, frozen=True):
    """A token with its new secret, which is shown once; the secret is empty if JWTs open the token.

    `ended_early` is when a secret from an earlier grace, which this rotation ended, would have ended by itself.
    """

    token: Token
    secret: Secret = msgspec.field(default_factory=lambda: Secret(""))
    ended_early: datetime | UnsetType = UNSET


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """A short-lived bearer; `access_token.plain` goes into the Authorization header."""

    access_token: Secret
    token_type: str
    expires_in: int
    scope: str
    jti: UUID


class Introspection(msgspec.Struct, frozen=True):
    """Whether a secret or bearer is accepted (RFC 7662), and all other fields of the reply."""

    active: bool
    facts: dict[str, Any]


class UserWithPassword(msgspec.Struct, frozen=True, kw_only=True):
    """A user, and the password that the ledger made up for them, which is shown once."""

    user: User
    password: Secret | None


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """A seed for an authenticator: as text, as an otpauth address, and as a QR code (SVG)."""

    secret: Secret
    uri: Secret
    qr: Secret


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """A user who has to give one-time codes from now on, and the recovery codes, which are shown once."""

    user: User
    recovery_codes: tuple[Secret, ...]


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A user, and the token that the login issued."""

    user: User
    issued: Issued
