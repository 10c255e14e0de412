"""Users: the bodies of requests, and the documents that callers read; no hash, no seed."""

from datetime import datetime
from typing import Annotated, get_args
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.core.subjects.user_events import Role
from counterfoil.documents.fields import Email, Given, Lifetime, Name, Page, Password, Private, Scopes, one_of
from counterfoil.documents.tokens import ChildrenDocument, Issued


class NewUser(Given, frozen=True, kw_only=True):
    """A user to create; `scopes` are those beyond the role."""

    email: Email
    role: Role
    scopes: Scopes = ()
    password: Password | None = None


class UserChanges(Given, frozen=True, kw_only=True):
    """The fields to change; a missing field stays as it is."""

    email: Email | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET


class NewPassword(Given, frozen=True, kw_only=True):
    """The new password; without one we make it up and show it once."""

    password: Password | None = None


class OneTimeCode(Given, frozen=True, kw_only=True):
    """The six digits that the authenticator shows now."""

    code: Annotated[str, Meta(max_length=32, examples=["492039"])]


class NewLogin(Given, frozen=True, kw_only=True):
    """A token for the caller, with all that they may do, or only `scopes`."""

    name: Name = "login"
    lifetime: Lifetime = "8h"
    scopes: Scopes | UnsetType = UNSET


class UserDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A user. With `totp` they log in with one-time codes; `recovery_codes` says how many are left."""

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


class UserWithPassword(Private, frozen=True, kw_only=True):
    """A user, and the password that we made up, which is shown once; null if the request had one."""

    user: UserDocument
    password: str | None


class UserPage(Page[UserDocument], frozen=True, kw_only=True):
    """A page of users."""


class Enrolment(Private, frozen=True, kw_only=True):
    """A seed for an authenticator, as text, as an otpauth address and as a QR code (SVG); shown once."""

    secret: str
    uri: str
    qr: str


class Enrolled(Private, frozen=True, kw_only=True):
    """A user with one-time codes, and the recovery codes for a lost authenticator, which are shown once."""

    user: UserDocument
    recovery_codes: list[str]


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A user, and the token that the login issued; its secret is shown once."""

    user: UserDocument
    issued: Issued
