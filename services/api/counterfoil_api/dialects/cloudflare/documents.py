"""The documents of Cloudflare's page "Access service tokens", with the fields in its order."""

from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Annotated, Final, Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.core.duration import FOREVER, seconds
from counterfoil.core.refusals import BadDuration, Refuses
from counterfoil.core.subjects.token.state import Token
from counterfoil.documents.fields import Name
from counterfoil_api.dialects.cloudflare.errors import Message

T = TypeVar("T")

DURATION: Final = "8760h"
VERSION_OFFSET: Final = "cloudflare.client_secret_version_offset"
"""The metadata key of the difference between a token's version and its generation."""
_GREATEST_VERSION: Final = 2**31 - 1

Duration = Annotated[str, Meta(description="For example 8760h, 2h45m or 300ms, or forever."), Refuses((BadDuration,))]
Version = Annotated[
    float,  # the vendor's clients send 2.0 for 2
    Meta(ge=1, le=_GREATEST_VERSION, multiple_of=1, description="A greater number generates a new secret."),
]
Enabled = Annotated[bool, Meta(description="Whether its secrets are accepted.")]
PreviousUntil = Annotated[datetime, Meta(tz=True, description="When the previous secret ends or ended.")]
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class Result(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Every successful answer."""

    errors: tuple[Message, ...] = ()
    messages: tuple[Message, ...] = ()
    result: T
    success: bool = True


class ResultInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The number of this page and of all pages."""

    count: int
    page: int
    per_page: int
    total_count: int
    total_pages: int


class NewServiceToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new service token. It has no previous secret, so the end of that has no effect."""

    name: Name
    duration: Duration = DURATION
    enabled: Enabled = True
    client_secret_version: Version = 1
    previous_client_secret_expires_at: PreviousUntil | None = None


class ServiceTokenChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Changes; omitted fields stay as they are."""

    name: Name | UnsetType = UNSET
    duration: Duration | UnsetType = UNSET
    enabled: Enabled | UnsetType = UNSET
    client_secret_version: Version | UnsetType = UNSET
    previous_client_secret_expires_at: PreviousUntil | None = None


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """When the previous secret ends; without a time at once."""

    previous_client_secret_expires_at: PreviousUntil | None = None


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of service tokens, and a page."""

    name: Annotated[str | None, Meta(description="The whole name.")] = None
    search: Annotated[str | None, Meta(description="A part of the name in any letter case.")] = None
    page: Annotated[int, Meta(ge=1, le=10**9)] = 1
    per_page: Annotated[int, Meta(ge=1, le=1000)] = 1000


class ServiceToken(msgspec.Struct, frozen=True, kw_only=True):
    """A service token."""

    client_id: str
    client_secret: Annotated[str | UnsetType, Meta(description="Only after a greater client_secret_version.")] = UNSET
    created_at: Moment
    duration: str
    enabled: bool
    expires_at: Moment | None
    id: str
    last_seen_at: Annotated[Moment | None, Meta(description="When its secret was last accepted.")]
    name: str
    updated_at: Moment


class ServiceTokenWithSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A service token and its new secret. No other answer contains this secret."""

    client_id: str
    client_secret: str
    created_at: Moment
    duration: str
    enabled: bool
    id: str
    name: str
    updated_at: Moment


class ServiceTokens(Result[list[ServiceToken]], frozen=True, kw_only=True):
    """A page of service tokens; pages after the last one are empty."""

    result_info: ResultInfo


def document(token: Token, used: datetime | None, *, secret: str | UnsetType = UNSET) -> ServiceToken:
    """Return the document of a token that was last used at this time."""
    return ServiceToken(
        client_id=client_id(token.id),
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
    """Return the document of a token with its new secret."""
    return msgspec.convert(document(token, None, secret=secret), ServiceTokenWithSecret, from_attributes=True)


def client_id(token_id: UUID) -> str:
    """Return the client id of a token."""
    return f"{token_id.hex}.access"


def moment(at: datetime) -> str:
    """Return a time in whole seconds, as in the vendor's examples."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def duration_of(token: Token) -> str:
    """Return a token's lifetime in Go's units: as it was requested, or computed from its expiry."""
    if token.lifetime is not None:
        given = token.lifetime
        return _go(seconds(given)) if {"d", "w"} & set(given) else given
    if token.expires_at is None:
        return FOREVER
    return _go(ceil((token.expires_at - token.lifetime_start) / timedelta(seconds=1)))


def _go(whole_seconds: int) -> str:
    minutes, left = divmod(whole_seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
