"""The access tokens of a user: their own, and for administrators anybody's."""

from typing import Any, Final
from uuid import UUID

from msgspec import UNSET
from msgspec.structs import replace as with_fields

from counterfoil.core.bounds import Address
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BadText, BeyondCaller, BeyondPolicy, NotFound, ScopeMissing
from counterfoil.core.subjects.token.commands import Update
from counterfoil.core.text import NAME_LIMIT, checked
from counterfoil.core.unit_of_work import Outcome
from counterfoil.postgres.listing import Filter, Listed
from counterfoil.postgres.liveness import database_time
from counterfoil.postgres.sealed_log import head_of
from counterfoil.uses.issue import Wish
from counterfoil_api.dialects.canvus.api import NAME, SHAPE, api
from counterfoil_api.dialects.canvus.documents import AccessToken, Described, TokenId, UserNumber, token_document
from counterfoil_api.dialects.canvus.ids import token_of
from counterfoil_api.dialects.canvus.streams import Subscribing, Subscription, Watched
from counterfoil_api.dialects.canvus.users import user_meant
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.events.held_callers import HeldCaller
from counterfoil_api.events.streams import Streams
from counterfoil_api.handling.issuing import Issuing
from counterfoil_api.handling.reading import Reading
from counterfoil_api.http.errors import InvalidRequest, TooManyStreams
from counterfoil_api.operations.reading import Asker, Body, ClientAddress, IdempotencyKey, Query
from counterfoil_api.operations.replies import JSON, Page, encode
from counterfoil_api.operations.streaming import Streamed

_PATH: Final = "/users/{user}/access-tokens"
_MOST: Final = 10_000
"""Tokens in a list, which Canvus does not page."""
_TARGET: Final = (ScopeMissing, NotFound)


@api.get(_PATH, scope="tokens.read", refusals=(*_TARGET, TooManyStreams))
async def list_access_tokens(
    tokens: Tokens,
    streams: Streams,
    asker: Asker[Principal],
    address: ClientAddress,
    *,
    user: UserNumber,
    query: Query[Subscribing],
) -> Streamed[list[AccessToken]]:
    """List the access tokens of a user, the oldest first. With `subscribe`, go on with every change."""
    owner = (await user_meant(tokens.reading, asker, user, scope="tokens.read")).owner
    head = await _head(tokens.reading, asker, query)
    found, _ = await tokens.listed(asker, Filter(owner_type=owner.type, owner_id=owner.id), limit=_MOST)
    if query.wanted:
        return await _followed(tokens, streams, _held(asker, address), Watched(owner), found, head=head)
    return Streamed(JSON, encode([token_document(tokens.reading, each.token) for each in found]))


@api.get(f"{_PATH}/{{token_id}}", scope="tokens.read", refusals=(*_TARGET, TooManyStreams))
async def get_access_token(
    tokens: Tokens,
    streams: Streams,
    asker: Asker[Principal],
    address: ClientAddress,
    *,
    user: UserNumber,
    token_id: TokenId,
    query: Query[Subscribing],
) -> Streamed[AccessToken]:
    """Look at an access token. With `subscribe`, go on with every change."""
    owner = (await user_meant(tokens.reading, asker, user, scope="tokens.read")).owner
    head = await _head(tokens.reading, asker, query)
    found = await tokens.look_at(asker, token_id=meant(tokens.reading, asker, token_id), owner=owner)
    if query.wanted:
        return await _followed(
            tokens, streams, _held(asker, address), Watched(owner, found.token.id), [found], head=head
        )
    return Streamed(JSON, encode(token_document(tokens.reading, found.token)))


@api.post(_PATH, scope="tokens.create", refusals=(*_TARGET, BeyondCaller, BeyondPolicy, BadText))
async def create_access_token(
    reading: Reading,
    issuing: Issuing,
    asker: Asker[Principal],
    *,
    user: UserNumber,
    body: Body[Described],
    key: IdempotencyKey,
) -> AccessToken:
    """Create an access token, which does what its user may, as far as the caller may. Its text is shown this once."""
    meaning = await user_meant(reading, asker, user, scope="tokens.create")
    wish = Wish(
        name=_described(body),
        owner=meaning.owner,
        scopes=meaning.scopes,
        dialect=NAME,
        shape=SHAPE,
    )

    def shown(outcome: Outcome, secret: str) -> AccessToken:
        return with_fields(token_document(reading, outcome.token), name=body.name, plain_token=secret)

    return await issuing.issue(asker, wish, key, shown, kind=AccessToken)


@api.patch(f"{_PATH}/{{token_id}}", scope="tokens.update", refusals=(*_TARGET, BadText))
async def change_access_token(
    tokens: Tokens,
    asker: Asker[Principal],
    *,
    user: UserNumber,
    token_id: TokenId,
    body: Body[Described],
    key: IdempotencyKey,
) -> AccessToken:
    """Describe an access token anew."""
    owner, name = (await user_meant(tokens.reading, asker, user, scope="tokens.update")).owner, _described(body)
    found = await tokens.one(asker, scope="tokens.update", token_id=meant(tokens.reading, asker, token_id), owner=owner)
    command = Update(account=asker.account, token_id=found.token.id, by=asker, name=name)

    def shown(outcome: Outcome) -> AccessToken:
        return with_fields(token_document(tokens.reading, outcome.token), name=body.name)

    return await tokens.change((command,), key, shown, kind=AccessToken)


@api.delete(f"{_PATH}/{{token_id}}", scope="tokens.revoke", refusals=_TARGET)
async def delete_access_token(tokens: Tokens, asker: Asker[Principal], *, user: UserNumber, token_id: TokenId) -> Page:
    """Delete an access token, which is good for nothing any more."""
    owner = (await user_meant(tokens.reading, asker, user, scope="tokens.revoke")).owner
    found = await tokens.one(asker, scope="tokens.revoke", token_id=meant(tokens.reading, asker, token_id), owner=owner)
    await tokens.revoke(asker, found, "Canvus")
    return Page(b"", JSON)


async def _head(reading: Reading, asker: Principal, query: Subscribing) -> int:
    """Where a stream begins: asked before the state, which then holds all that lies before it."""
    return await head_of(reading.pool, asker.account) if query.wanted else 0


def _held(asker: Principal, address: Address | None) -> HeldCaller:
    return HeldCaller.of(asker, address, ("own.read" if asker.lacks("tokens.read") else "tokens.read",))


async def _followed(
    tokens: Tokens, streams: Streams, caller: HeldCaller, watched: Watched, found: list[Listed], *, head: int
) -> Streamed[Any]:
    read_at = await database_time(tokens.reading.pool)
    stream = Subscription(tokens, streams, caller, watched, found, after=head, read_at=read_at)
    return Streamed(JSON, stream, {"X-Accel-Buffering": "no"})  # nginx would wait for more of it


def meant(reading: Reading, asker: Principal, text: str) -> UUID:
    """The token that is meant. Raises NotFound."""
    found = token_of(reading.opaque_ids, asker.account, text)
    if found is None:
        raise NotFound
    return found


def _described(body: Described) -> str:
    """What a token is to be called. Raises InvalidRequest, BadText."""
    if any(each is not None for each in (body.expires, body.expires_at, body.scopes)):
        raise InvalidRequest(
            "Access tokens never expire and have no scopes of their own; leave out expires and scopes.", where="body"
        )
    name = body.description if body.description is not UNSET else body.name
    if name is UNSET or not name.strip():
        raise InvalidRequest("The attribute description is missing.", where="body", field="description")
    return checked("description", name, NAME_LIMIT)
