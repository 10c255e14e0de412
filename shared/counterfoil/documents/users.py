"""Users: the bodies of requests, and the documents that callers read; no hash, no seed."""

from datetime import datetime
from typing import Annotated, get_args
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.core.subjects.user_events import Role
from counterfoil.documents.fields import Email, Given, Lifetime, Name, Password, Scopes, one_of
from counterfoil.documents.tokens import ChildrenDocument, Issued


class NewUser(Given, frozen=True, kw_only=True):
    """A user to be added; `scopes` are what they may do beyond their role."""

    email: Email
    role: Role
    scopes: Scopes = ()
    password: Password | None = None


class UserChanges(Given, frozen=True, kw_only=True):
    """What to change; a field that is not there stays as it is."""

    email: Email | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET


class NewPassword(Given, frozen=True, kw_only=True):
    """Another password; without one it is made up and shown once."""

    password: Password | None = None


class OneTimeCode(Given, frozen=True, kw_only=True):
    """The six digits that the authenticator shows now."""

    code: Annotated[str, Meta(max_length=32, examples=["492039"])]


class NewLogin(Given, frozen=True, kw_only=True):
    """A token for oneself, which may do all that one may, or only `scopes`."""

    name: Name = "login"
    lifetime: Lifetime = "8h"
    scopes: Scopes | UnsetType = UNSET


class UserDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A user. `totp` says that a one-time code is asked of them; `recovery_codes` are how many are left."""

    id: UUID
    number: int | None
    account: UUID
    email: str | None
    role: Annotated[str, one_of(*get_args(Role))]
    scopes: tuple[str, ...]
    status: Annotated[str, one_of("active", "disabled", "removed")]
    totp: bool
    recovery_codes: int
    created_at: datetime
    updated_at: datetime
    revision: int
    login: Annotated[
        str | None, Meta(description="The user-id of Basic authentication; null once they are removed.")
    ] = None
    children: Annotated[ChildrenDocument | UnsetType, Meta(description="In the reply that removes them.")] = UNSET


class UserWithPassword(msgspec.Struct, frozen=True, kw_only=True):
    """A user, and the password that was made up for them: it is shown this once. Null if it was given."""

    user: UserDocument
    password: str | None


class UserPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some users, and where the next ones begin."""

    items: list[UserDocument]
    next_cursor: str | None


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """A seed for an authenticator, as text, as an address and as a QR code (SVG); shown this once."""

    secret: str
    uri: str
    qr: str


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """A user from whom one-time codes are asked from now on, and the codes for when the authenticator is lost."""

    user: UserDocument
    recovery_codes: list[str]


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who logged in, and the token that they got; its secret is shown this once."""

    user: UserDocument
    issued: Issued
