"""The tokens of an application: https://docs.losant.com/rest-api/application-api-tokens."""

import re
import unicodedata
from typing import Annotated, Final
from uuid import UUID

from msgspec import UNSET

from counterfoil.core import glob
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import BadText, NotFound, Refuses
from counterfoil.core.subjects.token.commands import Create, Resume, Revoke, Suspend, TokenCommand, Update
from counterfoil.core.subjects.token.state import Token, TokenStatus
from counterfoil.core.subjects.user import owner_of
from counterfoil.core.unit_of_work import Outcome
from counterfoil.postgres.listing import Filter, Listed, Sort
from counterfoil.postgres.users import one_user
from counterfoil.uses.issue import Wish
from counterfoil_api.auth.principals import Caller, reach
from counterfoil_api.dialects.losant.api import DIALECT, NAME, api
from counterfoil_api.dialects.losant.creators import calling_creator, creators
from counterfoil_api.dialects.losant.documents import (
    TOKEN,
    USER,
    ListQuery,
    NewToken,
    Place,
    SortField,
    Success,
    TokenChanges,
    TokenDocument,
    TokenPage,
    token_document,
)
from counterfoil_api.dialects.losant.scopes import DELETE, GET, LIST, PATCH, POST, scopes_of
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.operations.reading import Body, IdempotencyKey, Query, path_type
from counterfoil_api.operations.refusals import SECRET_REPLY
from counterfoil_api.operations.replies import New

_ID: Final = re.compile(r"[0-9a-fA-F]{24}")
_SORTS: Final[dict[SortField, Sort]] = {
    "name": "name", "status": "status", "id": "number", "creationDate": "created", "lastUpdated": "updated",
    "expirationDate": "expires",
}  # fmt: skip
_STATUSES: Final[dict[str, TokenStatus]] = {"active": "active", "inactive": "suspended"}
_STATUS_CHANGES: Final[dict[str, tuple[str, type[Suspend | Resume]]]] = {
    "active": ("tokens.resume", Resume),
    "inactive": ("tokens.suspend", Suspend),
}
"""The native scope that a status needs, and the command that sets it."""
_TOKENS: Final = "/applications/{application_id}/tokens"

ApplicationId = Annotated[
    str,
    path_type("ID associated with the application.", f"^{_ID.pattern}$", "575ec8687ae143cd83dc4a97"),
    Refuses((NotFound,)),
]
TokenId = Annotated[
    str,
    path_type("ID associated with the API token.", f"^{_ID.pattern}$", "575ec7417ae143cd83dc4a95"),
    Refuses((NotFound,)),
]


@api.get(_TOKENS, scope="applicationApiTokens.get", refusals=(BadText,))
async def get_tokens(
    tokens: Tokens, caller: Caller, *, application_id: ApplicationId, query: Query[ListQuery]
) -> TokenPage:
    """Return the API tokens of an application."""
    place = await _place(tokens, caller, application_id, "tokens.read", instead=LIST)
    field = query.filter_field if query.filter else ""
    matching = Filter(
        name=unicodedata.normalize("NFC", query.filter) if field == "name" else None,
        stored_status=_statuses(query.filter) if field == "status" else None,
    )
    direction = query.sort_direction.lower() or "asc"
    found, total = await tokens.listed(
        caller, place.owner, matching=matching, instead=LIST, sort=_SORTS[query.sort_field],
        descending=direction == "desc", offset=query.page * query.per_page, limit=query.per_page,
    )  # fmt: skip
    known = await creators(tokens.reading, caller, (each.token.creator for each in found))
    return TokenPage(
        items=[token_document(each.token, place, tokens.reading.opaque_ids, known) for each in found],
        count=len(found),
        total_count=total,
        per_page=query.per_page,
        page=query.page,
        filter=query.filter or UNSET,
        filter_field=query.filter_field or UNSET,
        sort_field=query.sort_field,
        sort_direction="desc" if direction == "desc" else "asc",
        owner_id=place.id,
        owner_type=place.kind,
    )


@api.post(_TOKENS, scope="applicationApiTokens.post", executes=(Create,), refusals=SECRET_REPLY)
async def post_token(
    tokens: Tokens, caller: Caller, *, application_id: ApplicationId, body: Body[NewToken], key: IdempotencyKey
) -> New[TokenDocument]:
    """Create an API token for an application; only this answer contains its value."""
    place = await _place(tokens, caller, application_id, "tokens.create", instead=POST)
    wish = Wish(
        name=body.name,
        owner=place.owner,
        description=body.description,
        scopes=scopes_of(body.scope, field="scope", of_applications=True),
        expires_at=None if body.expiration_date is UNSET else body.expiration_date,
        may_have_expired=True,
        dialect=NAME,
    )
    known = await calling_creator(tokens.reading, caller)

    def render(outcome: Outcome, secret: str) -> TokenDocument:
        return token_document(outcome.of(Token), place, tokens.reading.opaque_ids, known, secret=secret)

    def suspension(token_id: UUID) -> tuple[TokenCommand, ...]:
        return () if body.status == "active" else (Suspend(account=caller.account, id=token_id, by=caller),)

    return New(await tokens.issuing.issue(caller, wish, key, render, kind=TokenDocument, also=suspension))


@api.get(f"{_TOKENS}/{{token_id}}", scope="applicationApiToken.get")
async def get_token(
    tokens: Tokens, caller: Caller, *, application_id: ApplicationId, token_id: TokenId
) -> TokenDocument:
    """Retrieve information on an API token."""
    place, listed = await _one(tokens, caller, application_id, token_id, "tokens.read", instead=GET)
    known = await creators(tokens.reading, caller, (listed.token.creator,))
    return token_document(listed.token, place, tokens.reading.opaque_ids, known)


@api.patch(f"{_TOKENS}/{{token_id}}", scope="applicationApiToken.patch", executes=(Update, Suspend, Resume))
async def patch_token(
    tokens: Tokens,
    caller: Caller,
    *,
    application_id: ApplicationId,
    token_id: TokenId,
    body: Body[TokenChanges],
    key: IdempotencyKey,
) -> TokenDocument:
    """Update information about an API token: its name, description or status."""
    place, listed = await _one(tokens, caller, application_id, token_id, *_scopes(body), instead=PATCH)
    known = await creators(tokens.reading, caller, (listed.token.creator,))

    def render(outcome: Outcome) -> TokenDocument:
        return token_document(outcome.of(Token), place, tokens.reading.opaque_ids, known)

    return await tokens.change(_changes(caller, listed, body), key, render, kind=TokenDocument)


@api.delete(f"{_TOKENS}/{{token_id}}", scope="applicationApiToken.delete", executes=(Revoke,))
async def delete_token(tokens: Tokens, caller: Caller, *, application_id: ApplicationId, token_id: TokenId) -> Success:
    """Delete an API token."""
    _, listed = await _one(tokens, caller, application_id, token_id, "tokens.revoke", instead=DELETE)
    await tokens.revoke(caller, listed, DIALECT.title)
    return Success()


def _only_status(body: TokenChanges) -> bool:
    return body.name is UNSET and body.description is UNSET and body.status is not UNSET


def _scopes(body: TokenChanges) -> tuple[str, ...]:
    """Return the native scopes that the changes need."""
    update = () if _only_status(body) else ("tokens.update",)
    return update if body.status is UNSET else (*update, _STATUS_CHANGES[body.status][0])


def _changes(caller: Principal, listed: Listed, body: TokenChanges) -> tuple[TokenCommand, ...]:
    account, token_id = caller.account, listed.token.id
    update = Update(account=account, id=token_id, by=caller, name=body.name, description=body.description)
    changes = () if _only_status(body) else (update,)
    if body.status is UNSET:
        return changes
    return (*changes, _STATUS_CHANGES[body.status][1](account=account, id=token_id, by=caller))


async def _one(
    tokens: Tokens, caller: Principal, application_id: str, token_id: str, *scopes: str, instead: tuple[str, ...]
) -> tuple[Place, Listed]:
    """Return the application and its token, if the caller may do this to it. Raises NotFound, ScopeMissing."""
    place = await _place(tokens, caller, application_id, *scopes, instead=instead)
    number = tokens.reading.opaque_ids.number_of24(TOKEN, caller.account, token_id.lower())
    if number is None:
        raise NotFound
    return place, await tokens.one(caller, scope=scopes[0], number=number, instead=instead, owner=place.owner)


async def _place(tokens: Tokens, caller: Principal, text: str, *scopes: str, instead: tuple[str, ...]) -> Place:
    """Return the application, or the user with this id, whose tokens the caller may do this to."""
    within = [reach(caller, scope, instead=instead) for scope in scopes]
    text = text.lower()
    owner = await _owner(tokens, caller, text) if _ID.fullmatch(text) else None
    if owner is None or any(each not in (None, owner) for each in within):
        raise NotFound("Application was not found")
    return Place(id=text, owner=owner)


async def _owner(tokens: Tokens, caller: Principal, text: str) -> Owner | None:
    number = tokens.reading.opaque_ids.number_of24(USER, caller.account, text)
    if number is not None:
        user = await one_user(tokens.reading.pool, caller.account, number)
        return None if user is None else owner_of(user.id)
    owner = Owner("application", text)
    return owner if caller.owner == owner or await tokens.owners.known(caller.account, owner) else None


def _statuses(text: str) -> tuple[TokenStatus, ...]:
    pattern = glob.read(text, field="filter")
    return tuple(status for word, status in _STATUSES.items() if pattern.matches(word))
