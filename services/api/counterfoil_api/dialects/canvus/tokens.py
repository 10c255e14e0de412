"""The operations of Canvus' page "Access Tokens API". Administrators may name any user."""

from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace as with_fields

from counterfoil.core.bounds import Address
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import NotFound
from counterfoil.core.subjects.token.commands import Create, Revoke, Update
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.text import NAME_LIMIT, checked
from counterfoil.core.unit_of_work import Outcome
from counterfoil.postgres.listing import Listed
from counterfoil.postgres.liveness import database_time
from counterfoil.postgres.sealed_log import head_of
from counterfoil.uses.issue import Wish
from counterfoil_api.auth.principals import Caller
from counterfoil_api.dialects.canvus.api import NAME, SHAPE, api
from counterfoil_api.dialects.canvus.documents import AccessToken, Described, TokenId, UserNumber, token_document
from counterfoil_api.dialects.canvus.ids import token_of
from counterfoil_api.dialects.canvus.streams import Subscribing, Subscription, Watched
from counterfoil_api.dialects.canvus.users import user_named
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.events.held_callers import HeldCaller
from counterfoil_api.events.streams import Streams
from counterfoil_api.http.errors import InvalidRequest, TooManyStreams
from counterfoil_api.operations.reading import Body, ClientAddress, IdempotencyKey, Query
from counterfoil_api.operations.refusals import SECRET_REPLY
from counterfoil_api.operations.replies import JSON, Page, encode
from counterfoil_api.operations.streaming import Streamed

_PATH: Final = "/users/{user}/access-tokens"
Stream = Query[Subscribing]
_MOST: Final = 10_000
"""Tokens in a list; Canvus has no pages."""


@api.get(_PATH, scope="tokens.read", refusals=(TooManyStreams,))
async def list_access_tokens(
    tokens: Tokens, streams: Streams, caller: Caller, address: ClientAddress, *, user: UserNumber, query: Stream
) -> Streamed[list[AccessToken]]:
    """List the access tokens of a user, the oldest first. With `subscribe`, every change follows."""
    owner = (await user_named(tokens, caller, user, scope="tokens.read")).owner
    head = await _head(tokens, caller, query)
    found, _ = await tokens.listed(caller, owner, limit=_MOST)
    if query.subscribes:
        return await _follow(tokens, streams, _held(caller, address), Watched(owner), found, head=head)
    return Streamed(JSON, encode([token_document(tokens, each.token) for each in found]))


@api.get(f"{_PATH}/{{token_id}}", scope="tokens.read", refusals=(TooManyStreams,))
async def get_access_token(
    tokens: Tokens,
    streams: Streams,
    caller: Caller,
    address: ClientAddress,
    *,
    user: UserNumber,
    token_id: TokenId,
    query: Stream,
) -> Streamed[AccessToken]:
    """Read an access token. With `subscribe`, every change follows."""
    head = await _head(tokens, caller, query)
    found = await _one(tokens, caller, user, token_id, scope="tokens.read")
    if query.subscribes:
        watched = Watched(found.token.owner, found.token.id)
        return await _follow(tokens, streams, _held(caller, address), watched, [found], head=head)
    return Streamed(JSON, encode(token_document(tokens, found.token)))


@api.post(_PATH, scope="tokens.create", executes=(Create,), refusals=SECRET_REPLY)
async def create_access_token(
    tokens: Tokens, caller: Caller, *, user: UserNumber, body: Body[Described], key: IdempotencyKey
) -> AccessToken:
    """Create an access token with the scopes that its user and the caller share. Only this answer contains its text."""
    named = await user_named(tokens, caller, user, scope="tokens.create")
    wish = Wish(name=_name_in(body), owner=named.owner, scopes=named.scopes, dialect=NAME, shape=SHAPE)

    def render(outcome: Outcome, secret: str) -> AccessToken:
        return with_fields(token_document(tokens, outcome.of(Token)), name=body.name, plain_token=secret)

    return await tokens.issuing.issue(caller, wish, key, render, kind=AccessToken)


@api.patch(f"{_PATH}/{{token_id}}", scope="tokens.update", executes=(Update,))
async def change_access_token(
    tokens: Tokens, caller: Caller, *, user: UserNumber, token_id: TokenId, body: Body[Described], key: IdempotencyKey
) -> AccessToken:
    """Change the description of an access token."""
    found = await _one(tokens, caller, user, token_id, scope="tokens.update")
    command = Update(account=caller.account, id=found.token.id, by=caller, name=_name_in(body))

    def render(outcome: Outcome) -> AccessToken:
        return with_fields(token_document(tokens, outcome.of(Token)), name=body.name)

    return await tokens.change((command,), key, render, kind=AccessToken)


@api.delete(f"{_PATH}/{{token_id}}", scope="tokens.revoke", executes=(Revoke,))
async def delete_access_token(tokens: Tokens, caller: Caller, *, user: UserNumber, token_id: TokenId) -> Page:
    """Delete an access token."""
    await tokens.revoke(caller, await _one(tokens, caller, user, token_id, scope="tokens.revoke"), "Canvus")
    return Page(b"", JSON)


async def _head(tokens: Tokens, caller: Principal, query: Subscribing) -> int:
    """Return where a stream begins. It is read before the state, so that no change between them is lost."""
    return await head_of(tokens.reading.pool, caller.account) if query.subscribes else 0


def _held(caller: Principal, address: Address | None) -> HeldCaller:
    return HeldCaller.of(caller, address, ("own.read" if caller.lacks("tokens.read") else "tokens.read",))


async def _follow(
    tokens: Tokens, streams: Streams, caller: HeldCaller, watched: Watched, found: list[Listed], *, head: int
) -> Streamed[Any]:
    read_at = await database_time(tokens.reading.pool)
    stream = Subscription(tokens, streams, caller, watched, found, after=head, read_at=read_at)
    return Streamed(JSON, stream, {"X-Accel-Buffering": "no"})  # otherwise nginx buffers the stream


async def _one(tokens: Tokens, caller: Principal, user: str, token_id: str, *, scope: str) -> Listed:
    """Return the named token of the named user. Raises ScopeMissing, NotFound."""
    owner = (await user_named(tokens, caller, user, scope=scope)).owner
    found = token_of(tokens.reading.opaque_ids, caller.account, token_id)
    if found is None:
        raise NotFound
    return await tokens.one(caller, scope=scope, token_id=found, owner=owner)


def _name_in(body: Described) -> str:
    """Return the name for a token. Raises InvalidRequest, BadText."""
    if any(each is not None for each in (body.expires, body.expires_at, body.scopes)):
        raise InvalidRequest(
            "Access tokens never expire and have no scopes of their own; leave out expires and scopes.", where="body"
        )
    name = body.description if body.description is not UNSET else body.name
    if name is UNSET or not name.strip():
        raise InvalidRequest("The attribute description is missing.", where="body", field="description")
    return checked("description", name, NAME_LIMIT)
