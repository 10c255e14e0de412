"""The documents of Canvus' page "Access Tokens API", and those of its logins."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.core.refusals import NotFound, Refuses
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user import User
from counterfoil.documents.fields import Name
from counterfoil_api.dialects.canvus.ids import id_of
from counterfoil_api.dialects.times import milliseconds
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.operations.reading import path_type

UserNumber = Annotated[str, path_type("A user's number.", "^[1-9][0-9]{0,18}$", "1001"), Refuses((NotFound,))]
TokenId = Annotated[str, path_type("A token's id.", "^[A-Za-z0-9]{80}$", "JDJhJDA0" * 10), Refuses((NotFound,))]


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A token's `description`, which one of the clients calls `name`.

    Access tokens never expire and have all scopes of their user. A request for an expiry or for scopes is refused,
    because its answer would grant more than requested.
    """

    description: Name | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    expires: Any = None
    expires_at: Any = None
    scopes: Any = None


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """An access token. Only the answer that creates it contains `plain_token`; only streams have `state`.

    `name` is present where the request had it: clients check that the answer repeats what they sent.
    """

    created_at: str
    description: str
    id: str
    name: str | UnsetType = UNSET
    plain_token: str | UnsetType = UNSET
    state: Literal["normal", "deleted"] | UnsetType = UNSET


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A login with an e-mail address and a password, or with a token."""

    email: Annotated[
        str | UnsetType, Meta(description="ACCOUNT/ADDRESS for a user of another account than the default one.")
    ] = UNSET
    password: str | UnsetType = UNSET
    token: str | UnsetType = UNSET


class Logout(msgspec.Struct, frozen=True, kw_only=True):
    """The login to end; without a token the one that calls."""

    token: str | UnsetType = UNSET


class UserDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A user."""

    admin: bool
    approved: bool
    blocked: bool
    created_at: str
    email: str
    id: int
    last_login: str
    name: str
    state: Literal["normal", "deleted"]


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A login, which is a token for a day."""

    token: str
    user: UserDocument


def token_document(tokens: Tokens, token: Token) -> AccessToken:
    """Return a token as Canvus shows it."""
    return AccessToken(
        created_at=local(token.created_at),
        description=token.name or "",
        id=id_of(tokens.reading.opaque_ids, token.account, token.id),
    )


def user_document(user: User, at: datetime) -> UserDocument:
    """Return a user who logged in at this time."""
    return UserDocument(
        admin=user.role == "administrator",
        approved=True,
        blocked=user.status != "active",
        created_at=milliseconds(user.created_at),
        email=user.name or "",
        id=user.number or 0,
        last_login=milliseconds(at),
        name=(user.name or "").partition("@")[0],
        state="normal" if user.status != "removed" else "deleted",
    )


def local(moment: datetime) -> str:
    """Return a time as tokens have it: in UTC, without a zone."""
    return milliseconds(moment).removesuffix("Z")
