"""The update of Cloudflare's page "Access service tokens": all stated changes or none; omitted fields stay."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from msgspec import UNSET, UnsetType

from counterfoil.core.principal import Principal
from counterfoil.core.refusals import Busy, NotFound, StaleRevision
from counterfoil.core.subjects.token.acceptance import status_at
from counterfoil.core.subjects.token.commands import Renew, Resume, Rotate, Suspend, TokenCommand, Update
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import AllOrNothing, Outcome
from counterfoil.postgres.listing import Listed
from counterfoil_api.auth.principals import Caller, reach
from counterfoil_api.dialects.cloudflare.api import SHAPE
from counterfoil_api.dialects.cloudflare.documents import (
    VERSION_OFFSET,
    ServiceToken,
    ServiceTokenChanges,
    document,
    duration_of,
)
from counterfoil_api.dialects.cloudflare.paths import ONE, AccountId, ZoneId, of_both, zone_of
from counterfoil_api.dialects.ids import TokenId, uuid_of
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.handling.issuing import NewSecret
from counterfoil_api.operations.reading import Body, IdempotencyKey
from counterfoil_api.operations.refusals import SECRET_REPLY
from counterfoil_api.operations.retries import Retry

_WHOLE: Final = re.compile(r"-?[0-9]{1,10}")
_SCOPES: Final[dict[type[TokenCommand], str]] = {
    Renew: "tokens.renew",
    Resume: "tokens.resume",
    Suspend: "tokens.suspend",
}
"""The scopes that a PUT needs besides `tokens.update`."""
_TRIES: Final = 4
"""Attempts, if others change the token at the same time."""


@of_both("PUT", ONE, scope="tokens.update", executes=(Update, Renew, Rotate, Suspend, Resume), refusals=SECRET_REPLY)
async def update_service_token(
    tokens: Tokens,
    caller: Caller,
    *,
    account_id: AccountId = "",
    zone_id: ZoneId = "",
    service_token_id: TokenId,
    body: Body[ServiceTokenChanges],
    key: IdempotencyKey,
) -> ServiceToken:
    """Update a service token: all stated changes or none; omitted fields stay as they are.

    A new duration begins now. A greater client_secret_version generates a new secret, which only this answer contains;
    the same number changes nothing, so that two concurrent requests with it rotate once.
    """
    zone = await zone_of(tokens, caller, account_id, zone_id)
    for _ in range(_TRIES):
        listed = await tokens.one(caller, scope="tokens.update", token_id=uuid_of(service_token_id), owner=zone)
        try:
            return await _once(tokens, caller, listed, body, key)
        except StaleRevision:
            continue
    raise Busy


async def _once(
    tokens: Tokens, caller: Principal, listed: Listed, body: ServiceTokenChanges, retry: Retry | None
) -> ServiceToken:
    token = listed.token
    rotates = body.client_secret_version is not UNSET and body.client_secret_version > token.generation + _offset(token)
    others = tuple(_other_changes(caller, token, body))
    for scope in (*(("tokens.rotate",) if rotates else ()), *(_SCOPES[type(each)] for each in others)):
        if reach(caller, scope) not in (None, token.owner):
            raise NotFound
    if rotates:
        return await _rotated(tokens, caller, listed, body, retry, others=others)
    update = Update(
        account=caller.account,
        id=token.id,
        by=caller,
        name=body.name,
        metadata=_metadata(token, body, generation=token.generation),
        previous_until=_previous_until(listed, body),
        revisions=frozenset({token.revision}),
    )
    return await tokens.writing.reply(
        AllOrNothing((update, *others)),
        retry,
        lambda outcome: document(outcome.of(Token), listed.last_used_at),
        kind=ServiceToken,
        holds_secret=body.client_secret_version is not UNSET,  # the answer that a retry repeats may have one
    )


async def _rotated(
    tokens: Tokens,
    caller: Principal,
    listed: Listed,
    body: ServiceTokenChanges,
    retry: Retry | None,
    *,
    others: tuple[TokenCommand, ...],
) -> ServiceToken:
    """Generate a new secret. An expired token gets it and its new lifetime by one command."""
    token, lifetime = listed.token, None
    if status_at(token, listed.at) == "expired":
        lifetime = next((each.lifetime for each in others if isinstance(each, Renew)), None)
        others = tuple(each for each in others if not isinstance(each, Renew))
    metadata = _metadata(token, body, generation=token.generation + 1)
    update = Update(account=caller.account, id=token.id, by=caller, name=body.name, metadata=metadata)
    new_secret = NewSecret(
        previous_until=body.previous_client_secret_expires_at,
        ends_previous=True,
        lifetime=lifetime,
        revisions=frozenset({token.revision}),
    )

    def render(outcome: Outcome, secret: str) -> ServiceToken:
        return document(outcome.of(Token), listed.last_used_at, secret=secret)

    also = (update, *others)
    return await tokens.issuing.rotate(
        caller, token, retry, render, kind=ServiceToken, new_secret=new_secret, shape=SHAPE, also=also
    )


def _other_changes(caller: Principal, token: Token, body: ServiceTokenChanges) -> Iterator[TokenCommand]:
    if body.duration is not UNSET and body.duration not in (token.lifetime, duration_of(token)):
        yield Renew(account=caller.account, id=token.id, by=caller, lifetime=body.duration)
    if body.enabled is True:
        yield Resume(account=caller.account, id=token.id, by=caller)
    if body.enabled is False:
        yield Suspend(account=caller.account, id=token.id, by=caller)


def _previous_until(listed: Listed, body: ServiceTokenChanges) -> datetime | UnsetType:
    """Return the new end of the previous secret; UNSET if there is none, or if it has ended as stated."""
    until, ends = body.previous_client_secret_expires_at, listed.token.previous_until
    if until is None or listed.token.generation == 1:
        return UNSET
    is_good = ends is not None and ends > listed.at
    return until if is_good or until > listed.at else UNSET


def _offset(token: Token) -> int:
    text = token.metadata.get(VERSION_OFFSET, "")
    return int(text) if _WHOLE.fullmatch(text) else 0


def _metadata(token: Token, body: ServiceTokenChanges, *, generation: int) -> dict[str, str] | UnsetType:
    """Return metadata with the difference between the stated version and the generation that the token will have."""
    if body.client_secret_version is UNSET:
        return UNSET
    offset = int(body.client_secret_version) - generation
    if offset == _offset(token):
        return UNSET
    kept = {key: value for key, value in token.metadata.items() if key != VERSION_OFFSET}
    return {**kept, VERSION_OFFSET: str(offset)} if offset else kept
