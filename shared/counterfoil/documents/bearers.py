"""Short-lived bearers: the request and the reply."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from counterfoil.documents.fields import _DURATION, Audience, Given, Private, Scopes


class ExchangeRequest(Given, frozen=True, kw_only=True):
    """The audience and the scopes of the bearer; without `scopes`, all of the token's."""

    audience: Audience | Annotated[tuple[Audience, ...], Meta(max_length=20)] = ()
    scopes: Scopes | UnsetType = UNSET
    lifetime: Annotated[
        str | None,
        Meta(
            description="The longest lifetime of the bearer, such as 5m; the service shortens it to its own limit.",
            extra_json_schema={"pattern": _DURATION.replace("forever|", ""), "maxLength": 64},
        ),
    ] = None


class BearerDocument(Private, frozen=True, kw_only=True):
    """A bearer, as RFC 6749 5.1 shows it."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a type
    expires_in: int
    scope: str
    jti: UUID
