"""Service tokens as Cloudflare writes them, with the fields in its order."""

from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.core.duration import FOREVER, seconds
from counterfoil.core.subjects.token.state import Token
from counterfoil_api.dialects.cloudflare.errors import Message

T = TypeVar("T")

DURATION: Final = "8760h"
VERSION_OFFSET: Final = "cloudflare.client_secret_version_offset"
"""The key of a token's metadata that holds how much its version is above its generation."""
_GREATEST_VERSION: Final = 2**31 - 1

Duration = Annotated[str, Meta(description="Such as 8760h, 2h45m or 300ms, or the word forever.")]
Version = Annotated[
    float,  # which is how the vendor's clients have it, 2.0 for 2
    Meta(ge=1, le=_GREATEST_VERSION, multiple_of=1, description="A greater one than before gives a new secret."),
]
Enabled = Annotated[bool, Meta(description="Whether its secrets are accepted.")]
PreviousUntil = Annotated[datetime, Meta(tz=True, description="When the previous secret ends; it may have passed.")]
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class Result(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Every good answer."""

    errors: tuple[Message, ...] = ()
    messages: tuple[Message, ...] = ()
    result: T
    success: bool = True


class ResultInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Which page this is of how many."""

    count: int
    page: int
    per_page: int
    total_count: int
    total_pages: int


class NewServiceToken(msgspec.Struct, frozen=True, kw_only=True):
    """A service token to be made. It has no previous secret yet, so when that would end does not matter."""

    name: str
    duration: Duration = DURATION
    enabled: Enabled = True
    client_secret_version: Version = 1
    previous_client_secret_expires_at: PreviousUntil | None = None


class ServiceTokenChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be changed; what is left out stays as it is."""

    name: str | UnsetType = UNSET
    duration: Duration | UnsetType = UNSET
    enabled: Enabled | UnsetType = UNSET
    client_secret_version: Version | UnsetType = UNSET
    previous_client_secret_expires_at: PreviousUntil | None = None


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """How the secret is replaced; without a moment the previous one ends at once."""

    previous_client_secret_expires_at: PreviousUntil | None = None


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """Which service tokens, and which page of them."""

    name: Annotated[str | None, Meta(description="The whole name.")] = None
    search: Annotated[str | None, Meta(description="A part of the name, in any case.")] = None
    page: Annotated[int, Meta(ge=1, le=10**9)] = 1
    per_page: Annotated[int, Meta(ge=1, le=1000)] = 1000


class ServiceToken(msgspec.Struct, frozen=True, kw_only=True):
    """A service token."""

    client_id: str
    client_secret: Annotated[
        str | UnsetType, Meta(description="Only where a greater client_secret_version replaced it.")
    ] = UNSET
    created_at: Moment
    duration: str
    enabled: bool
    expires_at: Moment | None
    id: str
    last_seen_at: Annotated[Moment | None, Meta(description="When it was last accepted.")]
    name: str
    updated_at: Moment


class ServiceTokenWithSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A service token and its new secret, which is shown in this answer alone."""

    client_id: str
    client_secret: str
    created_at: Moment
    duration: str
    enabled: bool
    id: str
    name: str
    updated_at: Moment


class ServiceTokens(Result[list[ServiceToken]], frozen=True, kw_only=True):
    """A page of service tokens; one past the end is empty."""

    result_info: ResultInfo


def document(token: Token, used: datetime | None, *, secret: str | UnsetType = UNSET) -> ServiceToken:
    """Return a token as it is shown, last used at this moment."""
    return ServiceToken(
        client_id=client_id(token),
        client_secret=secret,
        created_at=moment(token.created_at),
        duration=duration_of(token),
        enabled=token.status == "active",
        expires_at=None if token.expires_at is None else moment(token.expires_at),
        id=str(token.id),
        last_seen_at=None if used is None else moment(used),
        name=token.name or "",
        updated_at=moment(token.updated_at),
    )


def with_secret(token: Token, secret: str) -> ServiceTokenWithSecret:
    """Return a token with the secret that was made for it."""
    return ServiceTokenWithSecret(
        client_id=client_id(token),
        client_secret=secret,
        created_at=moment(token.created_at),
        duration=duration_of(token),
        enabled=token.status == "active",
        id=str(token.id),
        name=token.name or "",
        updated_at=moment(token.updated_at),
    )


def client_id(token: Token) -> str:
    """Return what a third party calls a token."""
    return f"{token.id.hex}.access"


def moment(at: datetime) -> str:
    """Return a moment to the second, which is how the vendor's examples have it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def duration_of(token: Token) -> str:
    """Return how long a token lives: as it was given, in Go's units; of one with a mere expiry, how long that is."""
    if token.lifetime is not None:
        given = token.lifetime
        return _go(seconds(given)) if {"d", "w"} & set(given) else given
    if token.expires_at is None:
        return FOREVER
    return _go(ceil((token.expires_at - token.lived_from) / timedelta(seconds=1)))


def _go(whole_seconds: int) -> str:
    minutes, left = divmod(whole_seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
