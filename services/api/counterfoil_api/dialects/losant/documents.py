"""Losant's documents, with the fields in its order: https://docs.losant.com/rest-api/application-api-tokens."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.core.opaque_ids import OpaqueIds
from counterfoil.core.principal import Owner
from counterfoil.core.subjects.token.state import Token
from counterfoil.documents.fields import Description, Moment, Name
from counterfoil_api.dialects.losant.scopes import word_of
from counterfoil_api.dialects.times import milliseconds

TOKEN = "token"  # noqa: S105 - the kind of an id
USER = "user"

Status = Literal["active", "inactive"]
Words = Annotated[tuple[str, ...], Meta(max_length=1_000, description="Words such as all.Application, each once.")]


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A request body; unknown keys are refused."""


class Login(
    Given, frozen=True, kw_only=True,
    rename={"two_factor_code": "twoFactorCode", "requested_scopes": "requestedScopes", "token_ttl": "tokenTTL"},
):  # fmt: skip
    """A user's credentials; `tokenTTL` is in seconds."""

    email: str
    password: str
    two_factor_code: str | UnsetType | None = UNSET
    requested_scopes: Words | UnsetType = UNSET
    token_ttl: Annotated[int, Meta(ge=0, le=30 * 86_400)] = 0


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The user who logged in, and the token of the login."""

    user_id: str
    token: str


class NewToken(Given, frozen=True, kw_only=True, rename="camel"):
    """API Token Post."""

    name: Name
    description: Description = ""
    expiration_date: Moment | UnsetType = UNSET
    scope: Words = ("all.Application",)
    status: Status = "active"


class TokenChanges(Given, frozen=True, kw_only=True, rename="camel"):
    """API Token Patch; neither the scope nor the expiration date changes after the creation."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class TokenDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """API Token; without an `expirationDate` it never expires, and only the answer that creates it contains `token`."""

    id: str
    api_token_id: str
    creator_id: str
    creator_type: Literal["user", "apiToken", "flow"]
    owner_id: str
    owner_type: Literal["application", "user"]
    name: str
    creation_date: str
    last_updated: str
    expiration_date: str | UnsetType = UNSET
    scope: tuple[str, ...]
    status: Status
    token: str | UnsetType = UNSET
    creator_name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET


SortField = Literal["name", "status", "id", "creationDate", "lastUpdated", "expirationDate"]


class ListQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A filter, an order and a page of tokens; pages count from 0."""

    sort_field: SortField = "name"
    sort_direction: Literal["asc", "desc", "ASC", "DESC", ""] = "asc"
    page: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    per_page: Annotated[int, Meta(ge=1, le=1_000)] = 100
    filter_field: Literal["name", "status", ""] = ""
    filter: Annotated[str, Meta(max_length=255, description="A glob: `*` is any text.")] = ""


class TokenPage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """API Tokens: a page of them, and the query."""

    items: list[TokenDocument]
    count: int
    total_count: int
    per_page: int
    page: int
    filter: str | UnsetType = UNSET
    filter_field: str | UnsetType = UNSET
    sort_field: SortField
    sort_direction: Literal["asc", "desc"]
    owner_id: str
    owner_type: Literal["application", "user"]


class Success(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The request succeeded."""

    success: Literal[True] = True


class Creator(msgspec.Struct, frozen=True, kw_only=True):
    """The creator of a token; without the name if the caller may not read it."""

    type: Literal["user", "apiToken"]
    id: str
    name: str | UnsetType = UNSET


_NOBODY = Creator(type="user", id="0" * 24)
"""An unknown creator, or the system itself."""


class Place(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The owner that a path names: its id in the path, and in the ledger."""

    id: str
    owner: Owner

    @property
    def kind(self) -> Literal["application", "user"]:
        """The type of such an owner at Losant."""
        return "user" if self.owner.type == "user" else "application"


def token_document(
    token: Token, place: Place, ids: OpaqueIds, known: Mapping[UUID, Creator], *, secret: str | UnsetType = UNSET
) -> TokenDocument:
    """Return a token as Losant shows it; `known` are the creators."""
    token_id = ids.number24(TOKEN, token.account, token.number)
    creator = known.get(token.creator.id, _NOBODY)
    return TokenDocument(
        id=token_id,
        api_token_id=token_id,
        creator_id=creator.id,
        creator_type=creator.type,
        owner_id=place.id,
        owner_type=place.kind,
        name=token.name or "",
        creation_date=milliseconds(token.created_at),
        last_updated=milliseconds(token.updated_at),
        expiration_date=_moment(token.expires_at),
        scope=tuple(map(word_of, token.scopes)),
        status="active" if token.status == "active" else "inactive",
        token=secret,
        creator_name=creator.name,
        description=token.description,
    )


def _moment(moment: datetime | None) -> str | UnsetType:
    return UNSET if moment is None else milliseconds(moment)
