"""What an account and a zone do alike with service tokens."""

import re
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from counterfoil.core.glob import literal
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import (
    BadDuration,
    BadExpiry,
    BadText,
    BeyondCaller,
    BeyondPolicy,
    LifetimeRequired,
    NotFound,
    RenewsItself,
    ScopeMissing,
    SecretNoLongerAvailable,
)
from counterfoil.core.subjects.token.commands import Change, Renew, Suspend
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import Outcome
from counterfoil.postgres.listing import Filter, Listed
from counterfoil.uses.issue import Wish
from counterfoil_api.auth.principals import reach
from counterfoil_api.dialects.cloudflare.api import DIALECT, NAME, SHAPE
from counterfoil_api.dialects.cloudflare.documents import (
    VERSION_OFFSET,
    NewServiceToken,
    Paging,
    ResultInfo,
    Rotation,
    ServiceToken,
    ServiceTokens,
    ServiceTokenWithSecret,
    document,
    duration_of,
    with_secret,
)
from counterfoil_api.dialects.tokens import Tokens, revocation
from counterfoil_api.handling.issuing import Turn
from counterfoil_api.http.errors import NoSuchPath
from counterfoil_api.operations.reading import path_type
from counterfoil_api.operations.retries import Retry

READS: Final = (ScopeMissing, NotFound)
CREATES: Final = (ScopeMissing, BeyondCaller, BeyondPolicy, BadText, BadDuration, SecretNoLongerAvailable)
REFRESHES: Final = (*READS, BeyondCaller, BeyondPolicy, RenewsItself)
ROTATES: Final = (*READS, BeyondCaller, BadExpiry, LifetimeRequired, SecretNoLongerAvailable)
UPDATES: Final = (*REFRESHES, BadText, BadDuration, *ROTATES[3:])

_HEX: Final = re.compile(r"[0-9a-fA-F]{32}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
AccountId = Annotated[
    str,
    path_type(
        "The id of the account, with dashes or without.", "^[0-9a-fA-F-]{32,36}$", "699d98642c564d2e855e9661899b7252"
    ),
]
ZoneId = Annotated[str, path_type("The id of a zone.", f"^{_HEX.pattern}$", "023e105f4ecef8ad9ca31a8372d0c353")]
ServiceTokenId = Annotated[
    str, path_type("The id of a service token.", f"^{_UUID.pattern}$", "f174e90a-fafe-4643-bbbc-4a0ed4fc8415")
]


@dataclass(frozen=True, slots=True)
class Place:
    """A caller in an account or a zone: the owner of new tokens, and of the visible ones (None: every owner)."""

    tokens: Tokens
    asker: Principal
    owner: Owner
    within: Owner | None


def account(tokens: Tokens, asker: Principal, account_id: str) -> Place:
    """Return the caller's account. Nobody learns whether another one exists. Raises NoSuchPath."""
    if not (_HEX.fullmatch(account_id) or _UUID.fullmatch(account_id)) or UUID(account_id) != asker.account:
        raise NoSuchPath
    return Place(tokens, asker, Owner("service", asker.account.hex), None)


async def zone(tokens: Tokens, asker: Principal, zone_id: str) -> Place:
    """Return a zone: an owner that has or had a token. Raises NoSuchPath."""
    owner = Owner("service", zone_id.lower())
    if not _HEX.fullmatch(zone_id) or not await tokens.owners.known(asker.account, owner):
        raise NoSuchPath
    return Place(tokens, asker, owner, owner)


async def found(place: Place, token_id: str, *, scope: str) -> Listed:
    """Return the named token, if the caller has this scope for it. Raises NotFound, ScopeMissing."""
    return await place.tokens.one(place.asker, scope=scope, token_id=_id(token_id), owner=place.within)


async def show(place: Place, token_id: str) -> ServiceToken:
    """Return one for reading."""
    listed = await place.tokens.look_at(place.asker, token_id=_id(token_id), owner=place.within)
    return document(listed.token, listed.last_used_at)


async def page(place: Place, query: Paging) -> ServiceTokens:
    """Return a page of them, the oldest first."""
    wanted = Filter(
        name=None if query.name is None else literal(query.name),
        search=query.search,
        owner_type=place.within.type if place.within else None,
        owner_id=place.within.id if place.within else None,
    )
    skipped = (query.page - 1) * query.per_page
    listed, total = await place.tokens.listed(place.asker, wanted, offset=skipped, limit=query.per_page)
    info = ResultInfo(
        count=len(listed),
        page=query.page,
        per_page=query.per_page,
        total_count=total,
        total_pages=-(-total // query.per_page),
    )
    return ServiceTokens(result=[document(each.token, each.last_used_at) for each in listed], result_info=info)


async def create(place: Place, body: NewServiceToken, retry: Retry | None) -> ServiceTokenWithSecret:
    """Create one, and suspend it in the same transaction if it is not enabled."""
    asker = place.asker
    if reach(asker, "tokens.create") not in (None, place.owner):
        raise BeyondCaller("This caller may issue tokens for its own owner alone.")
    offset = int(body.client_secret_version) - 1
    wish = Wish(
        name=body.name,
        owner=place.owner,
        metadata={VERSION_OFFSET: str(offset)} if offset else {},
        lifetime=body.duration,
        dialect=NAME,
        shape=SHAPE,
    )

    def suspension(token_id: UUID) -> tuple[Change, ...]:
        return () if body.enabled else (Suspend(account=asker.account, token_id=token_id, by=asker),)

    return await place.tokens.issuing.issue(asker, wish, retry, _render, kind=ServiceTokenWithSecret, also=suspension)


async def delete(place: Place, token_id: str, retry: Retry | None) -> ServiceToken:
    """Revoke one and return what it was; a retry gets the same answer."""
    try:
        listed = await found(place, token_id, scope="tokens.revoke")
    except NotFound:
        earlier = await place.tokens.writing.recall(place.asker, retry, kind=ServiceToken) if retry else None
        if earlier is None:
            raise
        return earlier
    command = revocation(place.asker, listed, DIALECT.title)
    gone = document(listed.token, listed.last_used_at)
    return await place.tokens.change((command,), retry, lambda _: gone, kind=ServiceToken)


async def refresh(place: Place, token_id: str, retry: Retry | None) -> ServiceToken:
    """Begin its duration again now; a token without expiry stays as it is."""
    listed = await found(place, token_id, scope="tokens.renew")
    token, used = listed.token, listed.last_used_at
    if token.expires_at is None:
        return document(token, used)
    lifetime = duration_of(token) if token.lifetime is None else None
    command = Renew(account=token.account, token_id=token.id, by=place.asker, lifetime=lifetime)
    return await place.tokens.change(
        (command,), retry, lambda outcome: document(outcome.of(Token), used), kind=ServiceToken
    )


async def rotate(place: Place, token_id: str, body: Rotation, retry: Retry | None) -> ServiceTokenWithSecret:
    """Generate a new secret; without a time the current one ends at once."""
    listed = await found(place, token_id, scope="tokens.rotate")
    turn = Turn(shape=SHAPE, previous_until=body.previous_client_secret_expires_at, ends_previous=True)
    return await place.tokens.issuing.rotate(
        place.asker, listed.token, retry, _render, kind=ServiceTokenWithSecret, turn=turn
    )


def _id(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise NotFound
    return UUID(text)


def _render(outcome: Outcome, secret: str) -> ServiceTokenWithSecret:
    return with_secret(outcome.of(Token), secret)
