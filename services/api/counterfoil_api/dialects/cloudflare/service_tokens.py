"""The operations of Cloudflare's page "Access service tokens", in its order; the update is in `updates`."""

from uuid import UUID

from counterfoil.core.glob import literal
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import BeyondCaller, NotFound
from counterfoil.core.subjects.token.commands import Create, Renew, Revoke, Rotate, Suspend, TokenCommand
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import Outcome
from counterfoil.postgres.listing import Filter
from counterfoil.uses.issue import Wish
from counterfoil_api.auth.principals import Caller, reach
from counterfoil_api.dialects.cloudflare.api import DIALECT, NAME, SHAPE, api
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
from counterfoil_api.dialects.cloudflare.paths import ACCOUNT, ONE, AccountId, ZoneId, of_both, require_own, zone_of
from counterfoil_api.dialects.ids import TokenId, uuid_of
from counterfoil_api.dialects.tokens import Tokens, revocation
from counterfoil_api.handling.issuing import NewSecret
from counterfoil_api.operations.reading import Body, IdempotencyKey, Query
from counterfoil_api.operations.refusals import SECRET_REPLY
from counterfoil_api.operations.replies import New


@of_both("POST", scope="tokens.create", executes=(Create,), refusals=SECRET_REPLY)
async def create_service_token(
    tokens: Tokens,
    caller: Caller,
    *,
    account_id: AccountId = "",
    zone_id: ZoneId = "",
    body: Body[NewServiceToken],
    key: IdempotencyKey,
) -> New[ServiceTokenWithSecret]:
    """Create a service token of the account, or of a zone. Only this answer contains its secret."""
    owner = await zone_of(tokens, caller, account_id, zone_id) or Owner("service", caller.account.hex)
    if reach(caller, "tokens.create") not in (None, owner):
        raise BeyondCaller("This caller may issue tokens for its own owner alone.")
    offset = int(body.client_secret_version) - 1
    metadata = {VERSION_OFFSET: str(offset)} if offset else {}
    wish = Wish(name=body.name, owner=owner, metadata=metadata, lifetime=body.duration, dialect=NAME, shape=SHAPE)

    def suspension(token_id: UUID) -> tuple[TokenCommand, ...]:
        return () if body.enabled else (Suspend(account=caller.account, id=token_id, by=caller),)

    return New(await tokens.issuing.issue(caller, wish, key, _render, kind=ServiceTokenWithSecret, also=suspension))


@of_both("GET", scope="tokens.read", only_reads=True)
async def list_service_tokens(
    tokens: Tokens, caller: Caller, *, account_id: AccountId = "", zone_id: ZoneId = "", query: Query[Paging]
) -> ServiceTokens:
    """List the service tokens of the account, or of a zone, the oldest first."""
    zone = await zone_of(tokens, caller, account_id, zone_id)
    matching = Filter(name=None if query.name is None else literal(query.name), search=query.search)
    skipped = (query.page - 1) * query.per_page
    listed, total = await tokens.listed(caller, zone, matching=matching, offset=skipped, limit=query.per_page)
    info = ResultInfo(
        count=len(listed),
        page=query.page,
        per_page=query.per_page,
        total_count=total,
        total_pages=-(-total // query.per_page),
    )
    return ServiceTokens(result=[document(each.token, each.last_used_at) for each in listed], result_info=info)


@of_both("GET", ONE, scope="tokens.read", only_reads=True)
async def get_service_token(
    tokens: Tokens, caller: Caller, *, account_id: AccountId = "", zone_id: ZoneId = "", service_token_id: TokenId
) -> ServiceToken:
    """Read a service token."""
    zone = await zone_of(tokens, caller, account_id, zone_id)
    listed = await tokens.one(caller, scope="tokens.read", token_id=uuid_of(service_token_id), owner=zone)
    return document(listed.token, listed.last_used_at)


@of_both("DELETE", ONE, scope="tokens.revoke", executes=(Revoke,))
async def delete_service_token(
    tokens: Tokens,
    caller: Caller,
    *,
    account_id: AccountId = "",
    zone_id: ZoneId = "",
    service_token_id: TokenId,
    key: IdempotencyKey,
) -> ServiceToken:
    """Delete a service token and return what it was; a retry gets the same answer."""
    zone = await zone_of(tokens, caller, account_id, zone_id)
    try:
        listed = await tokens.one(caller, scope="tokens.revoke", token_id=uuid_of(service_token_id), owner=zone)
    except NotFound:
        earlier = await tokens.writing.recall(caller, key, kind=ServiceToken) if key else None
        if earlier is None:
            raise
        return earlier
    gone = document(listed.token, listed.last_used_at)
    return await tokens.change((revocation(caller, listed, DIALECT.title),), key, lambda _: gone, kind=ServiceToken)


@api.post(f"{ACCOUNT}{ONE}/refresh", scope="tokens.renew", executes=(Renew,))
async def refresh_service_token(
    tokens: Tokens, caller: Caller, *, account_id: AccountId, service_token_id: TokenId, key: IdempotencyKey
) -> ServiceToken:
    """Refresh the expiration of a service token: its duration begins again now. One without expiry stays as it is."""
    require_own(caller, account_id)
    listed = await tokens.one(caller, scope="tokens.renew", token_id=uuid_of(service_token_id))
    token, used = listed.token, listed.last_used_at
    if token.expires_at is None:
        return document(token, used)
    lifetime = duration_of(token) if token.lifetime is None else None
    command = Renew(account=caller.account, id=token.id, by=caller, lifetime=lifetime)
    return await tokens.change((command,), key, lambda outcome: document(outcome.of(Token), used), kind=ServiceToken)


@api.post(f"{ACCOUNT}{ONE}/rotate", scope="tokens.rotate", executes=(Rotate,), refusals=SECRET_REPLY)
async def rotate_service_token(
    tokens: Tokens,
    caller: Caller,
    *,
    account_id: AccountId,
    service_token_id: TokenId,
    body: Body[Rotation],
    key: IdempotencyKey,
) -> ServiceTokenWithSecret:
    """Generate a new secret for a service token; the old one ends at once or at the stated time."""
    require_own(caller, account_id)
    listed = await tokens.one(caller, scope="tokens.rotate", token_id=uuid_of(service_token_id))
    new_secret = NewSecret(previous_until=body.previous_client_secret_expires_at, ends_previous=True)
    return await tokens.issuing.rotate(
        caller, listed.token, key, _render, kind=ServiceTokenWithSecret, new_secret=new_secret, shape=SHAPE
    )


def _render(outcome: Outcome, secret: str) -> ServiceTokenWithSecret:
    return with_secret(outcome.of(Token), secret)
