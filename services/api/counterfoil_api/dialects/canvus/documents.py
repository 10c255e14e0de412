"""What travels in the Canvus API, and what of ours it shows."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user import User
from counterfoil_api.dialects.canvus.ids import id_of
from counterfoil_api.dialects.times import milliseconds
from counterfoil_api.handling.reading import Reading
from counterfoil_api.operations.reading import path_type

UserNumber = Annotated[str, path_type("A user's number.", "^[1-9][0-9]{0,18}$", "1001")]
TokenId = Annotated[str, path_type("A token's id.", "^[A-Za-z0-9]{80}$", "JDJhJDA0" * 10)]


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What a token is called: its `description`, for which one of the clients says `name`.

    Access tokens never expire and do whatever their user may: who asks for an end or for scopes is refused, rather than
    given more than they asked for.
    """

    description: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    expires: object = None
    expires_at: object = None
    scopes: object = None


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """An access token; its text is in the answer that makes it, this once. In a stream it says whether it is there.

    `name` is there where it was sent: clients look whether an answer holds what they sent.
    """

    created_at: str
    description: str
    id: str
    name: str | UnsetType = UNSET
    plain_token: str | UnsetType = UNSET
    state: Literal["normal", "deleted"] | UnsetType = UNSET


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Who logs in: with an e-mail address and a password, or with a token."""

    email: Annotated[
        str | UnsetType, Meta(description="Of a user of another account than the first: ACCOUNT/ADDRESS.")
    ] = UNSET
    password: str | UnsetType = UNSET
    token: str | UnsetType = UNSET


class Logout(msgspec.Struct, frozen=True, kw_only=True):
    """Which login to end; without a token the one that asks."""

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


def token_document(reading: Reading, token: Token) -> AccessToken:
    """A token as Canvus shows it, when it is asked for."""
    return AccessToken(
        created_at=local(token.created_at),
        description=token.name or "",
        id=canvus_id(reading, token.account, token.id),
    )


def canvus_id(reading: Reading, account: UUID, token_id: UUID) -> str:
    """The id that a token has in Canvus."""
    return id_of(reading.opaque_ids, account, token_id)


def user_document(user: User, at: datetime) -> UserDocument:
    """A user who logged in at this moment."""
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
    """A moment as tokens have it: in UTC, without saying so."""
    return milliseconds(moment).removesuffix("Z")
