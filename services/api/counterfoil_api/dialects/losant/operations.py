"""What can be asked of Losant's API: a login, and the tokens of an application."""

import re
from typing import Annotated, Final

from msgspec import UNSET

from counterfoil import glob
from counterfoil.commands import Change, Resume, Suspend, Update
from counterfoil.fold import Outcome
from counterfoil.postgres.listing import Filter, Listed, Sort, owner_known
from counterfoil.postgres.names import names_of
from counterfoil.postgres.users import one_user
from counterfoil.principal import Owner, Principal
from counterfoil.refusals import BadText, BeyondCaller, BeyondPolicy, NotFound, Refusal, ScopeMissing
from counterfoil.subjects.user import owner_of
from counterfoil.token import Standing
from counterfoil_api.account.actors import names
from counterfoil_api.auth.credentials import password_of
from counterfoil_api.auth.principals import reach
from counterfoil_api.dialects import tokens
from counterfoil_api.dialects.logins import Kind, log_in
from counterfoil_api.dialects.losant.api import DIALECT, NAME, api
from counterfoil_api.dialects.losant.documents import (
    TOKEN,
    USER,
    ListQuery,
    LoggedIn,
    Login,
    NewToken,
    Place,
    SortField,
    Success,
    TokenChanges,
    TokenDocument,
    TokenPage,
    token_document,
)
from counterfoil_api.dialects.losant.scopes import KNOWN, OF_APPLICATIONS, kept, needed
from counterfoil_api.edge.complaints import InvalidRequest
from counterfoil_api.ledger import Ledger
from counterfoil_api.tokens.wishes import Wish, issue
from counterfoil_api.typed.reading import Asker, Body, From, IdempotencyKey, Query, path_type
from counterfoil_api.typed.replies import New

_DAY_SECONDS: Final = 86_400
_ID: Final = re.compile(r"[0-9a-fA-F]{24}")
_SORTS: Final[dict[SortField, Sort]] = {
    "name": "name", "status": "standing", "id": "number", "creationDate": "created", "lastUpdated": "updated",
    "expirationDate": "expires",
}  # fmt: skip
_STANDINGS: Final[dict[str, Standing]] = {"active": "active", "inactive": "suspended"}
_ALL: Final = ("all.Application", "all.Organization", "all.User")
_READING: Final = (*_ALL, *(f"{each}.{part}" for each in _ALL for part in ("read", "bounded")))
_LIST: Final = needed(*_READING, "applicationApiTokens.*", "applicationApiTokens.get")
_POST: Final = needed(*_ALL, "applicationApiTokens.*", "applicationApiTokens.post")
_GET: Final = needed(*_READING, "applicationApiToken.*", "applicationApiToken.get")
_PATCH: Final = needed(*_ALL, "applicationApiToken.*", "applicationApiToken.patch")
_DELETE: Final = needed(*_ALL, "applicationApiToken.*", "applicationApiToken.delete")
_REFUSALS: Final[tuple[type[Refusal], ...]] = (ScopeMissing, NotFound)

ApplicationId = Annotated[
    str, path_type("ID associated with the application.", f"^{_ID.pattern}$", "575ec8687ae143cd83dc4a97")
]
TokenId = Annotated[str, path_type("ID associated with the API token.", f"^{_ID.pattern}$", "575ec7417ae143cd83dc4a95")]


@api.post("/auth/user")
async def authenticate_user(ledger: Ledger, address: From, *, body: Body[Login]) -> LoggedIn:
    """Log in with an e-mail address, a password and perhaps a code.

    The token is good for a day, or for `tokenTTL` seconds. Without `requestedScopes`, or with `all.User`, it may do
    what its user may.
    """
    wanted = () if body.requested_scopes is UNSET else _words(body.requested_scopes, KNOWN, "requestedScopes")
    scopes = None if body.requested_scopes is UNSET or kept("all.User") in wanted else wanted
    kind = Kind(dialect=NAME, seconds=body.token_ttl or _DAY_SECONDS)
    given = password_of(body.email, body.password)
    session = await log_in(ledger, given, kind, otp=body.two_factor_code or None, address=address, scopes=scopes)
    user = session.user
    return LoggedIn(user_id=ledger.opaque_ids.number24(USER, user.account, user.number or 0), token=session.secret)


@api.get("/applications/{application_id}/tokens", refusals=(*_REFUSALS, BadText))
async def get_tokens(
    ledger: Ledger, asker: Asker[Principal], *, application_id: ApplicationId, query: Query[ListQuery]
) -> TokenPage:
    """Return the API tokens of an application."""
    place = await _place(ledger, asker, application_id, scope="tokens.read", instead=_LIST)
    field = query.filter_field if query.filter else ""
    wanted = Filter(
        owner_type=place.owner.type,
        owner_id=place.owner.id,
        name=query.filter if field == "name" else None,
        standing=_standings(query.filter) if field == "status" else None,
    )
    direction = query.sort_direction.lower() or "asc"
    found, total = await tokens.listed(
        ledger, asker, wanted, instead=_LIST, sort=_SORTS[query.sort_field], descending=direction == "desc",
        offset=query.page * query.per_page, limit=query.per_page,
    )  # fmt: skip
    known = await names(ledger, asker, (each.token.creator.id for each in found))
    return TokenPage(
        items=[token_document(each.token, place, ledger.opaque_ids, known) for each in found],
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


@api.post("/applications/{application_id}/tokens", refusals=(*_REFUSALS, BeyondCaller, BeyondPolicy, BadText))
async def post_token(
    ledger: Ledger,
    asker: Asker[Principal],
    *,
    application_id: ApplicationId,
    body: Body[NewToken],
    key: IdempotencyKey,
) -> New[TokenDocument]:
    """Create an API token for an application; its value is shown this once."""
    place = await _place(ledger, asker, application_id, scope="tokens.create", instead=_POST)
    wish = Wish(
        name=body.name,
        owner=place.owner,
        description=body.description,
        scopes=_words(body.scope, OF_APPLICATIONS, "scope"),
        expires_at=None if body.expiration_date is UNSET else body.expiration_date,
        may_have_expired=True,
        dialect=NAME,
    )
    known = await names_of(ledger.readers, asker.account, (asker.actor.id,))

    def shown(outcome: Outcome, secret: str) -> TokenDocument:
        return token_document(outcome.token, place, ledger.opaque_ids, known, secret=secret)

    inactive = body.status == "inactive"
    made = await issue(
        ledger, asker, wish, key, shown, kind=TokenDocument,
        beside=lambda token_id: (
            (Suspend(account=asker.account, token_id=token_id, by=asker),) if inactive else ()
        ),
    )  # fmt: skip
    return New(made)


@api.get("/applications/{application_id}/tokens/{token_id}", refusals=_REFUSALS)
async def get_token(
    ledger: Ledger, asker: Asker[Principal], *, application_id: ApplicationId, token_id: TokenId
) -> TokenDocument:
    """Retrieve information on an API token."""
    place = await _place(ledger, asker, application_id, scope="tokens.read", instead=_GET)
    listed = await tokens.look_at(
        ledger, asker, number=_number(ledger, asker, token_id), instead=_GET, owner=place.owner
    )
    known = await names(ledger, asker, (listed.token.creator.id,))
    return token_document(listed.token, place, ledger.opaque_ids, known)


@api.patch("/applications/{application_id}/tokens/{token_id}", refusals=(*_REFUSALS, BeyondCaller, BadText))
async def patch_token(
    ledger: Ledger,
    asker: Asker[Principal],
    *,
    application_id: ApplicationId,
    token_id: TokenId,
    body: Body[TokenChanges],
    key: IdempotencyKey,
) -> TokenDocument:
    """Update information about an API token: its name, description or status."""
    place = await _place(ledger, asker, application_id, scope="tokens.update", instead=_PATCH)
    if body.status is not UNSET:
        reach(asker, "tokens.resume" if body.status == "active" else "tokens.suspend", instead=_PATCH)
    listed = await tokens.one(
        ledger, asker, scope="tokens.update", number=_number(ledger, asker, token_id), instead=_PATCH,
        owner=place.owner,
    )  # fmt: skip
    known = await names(ledger, asker, (listed.token.creator.id,))
    return await tokens.change(
        ledger, _changes(asker, listed, body), key,
        lambda outcome: token_document(outcome.token, place, ledger.opaque_ids, known), kind=TokenDocument,
    )  # fmt: skip


@api.delete("/applications/{application_id}/tokens/{token_id}", refusals=_REFUSALS)
async def delete_token(
    ledger: Ledger, asker: Asker[Principal], *, application_id: ApplicationId, token_id: TokenId
) -> Success:
    """Delete an API token."""
    place = await _place(ledger, asker, application_id, scope="tokens.revoke", instead=_DELETE)
    listed = await tokens.one(
        ledger, asker, scope="tokens.revoke", number=_number(ledger, asker, token_id), instead=_DELETE,
        owner=place.owner,
    )  # fmt: skip
    await tokens.revoke(ledger, asker, listed, DIALECT.title)
    return Success()


def _changes(asker: Principal, listed: Listed, body: TokenChanges) -> tuple[Change, ...]:
    account, token_id = asker.account, listed.token.id
    update = Update(account=account, token_id=token_id, by=asker, name=body.name, description=body.description)
    match body.status:
        case "active":
            return update, Resume(account=account, token_id=token_id, by=asker)
        case "inactive":
            return update, Suspend(account=account, token_id=token_id, by=asker)
    return (update,)


async def _place(ledger: Ledger, asker: Principal, text: str, *, scope: str, instead: tuple[str, ...]) -> Place:
    """Whose tokens are meant, for who may do this to them: an application's, or those of a user with this id."""
    within = reach(asker, scope, instead=instead)
    text = text.lower()
    owner = await _owner(ledger, asker, text) if _ID.fullmatch(text) else None
    if owner is None or within not in (None, owner):
        raise NotFound("Application was not found")
    return Place(id=text, owner=owner)


async def _owner(ledger: Ledger, asker: Principal, text: str) -> Owner | None:
    number = ledger.opaque_ids.number_of24(USER, asker.account, text)
    if number is not None:
        user = await one_user(ledger.readers, asker.account, number)
        return None if user is None else owner_of(user.id)
    owner = Owner("application", text)
    return owner if asker.owner == owner or await owner_known(ledger.readers, asker.account, owner) else None


def _number(ledger: Ledger, asker: Principal, token_id: str) -> int:
    number = ledger.opaque_ids.number_of24(TOKEN, asker.account, token_id.lower())
    if number is None:
        raise NotFound
    return number


def _words(given: tuple[str, ...], known: frozenset[str], field: str) -> tuple[str, ...]:
    if len(set(given)) != len(given):
        raise InvalidRequest(f"`{field}` holds a word twice; give each one once.", where="body", field=field)
    if strange := [word for word in given if word not in known]:
        shown = f"`{strange[0]}`" if strange[0].isascii() and strange[0].isprintable() else "a word"
        raise InvalidRequest(
            f"`{field}` holds {shown[:80]}, which is none of its scopes, such as all.Application or devices.get.",
            where="body", field=field,
        )  # fmt: skip
    return tuple(map(kept, given))


def _standings(text: str) -> tuple[Standing, ...]:
    meant = glob.read(text, field="filter")
    return tuple(standing for word, standing in _STANDINGS.items() if meant.matches(word))
