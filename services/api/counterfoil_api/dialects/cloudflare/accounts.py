"""All service tokens of an account."""

from counterfoil.core.principal import Principal
from counterfoil_api.dialects.cloudflare import service_tokens
from counterfoil_api.dialects.cloudflare.api import api
from counterfoil_api.dialects.cloudflare.documents import (
    NewServiceToken,
    Paging,
    Rotation,
    ServiceToken,
    ServiceTokens,
    ServiceTokenWithSecret,
)
from counterfoil_api.dialects.cloudflare.service_tokens import AccountId, ServiceTokenId, account
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.operations.reading import Asker, Body, IdempotencyKey, Query
from counterfoil_api.operations.replies import New

TOKENS = "/accounts/{account_id}/access/service_tokens"
TOKEN = f"{TOKENS}/{{service_token_id}}"


@api.get(TOKENS, refusals=service_tokens.READS)
async def list_service_tokens(
    tokens: Tokens, asker: Asker[Principal], *, account_id: AccountId, query: Query[Paging]
) -> ServiceTokens:
    """List the service tokens of the account."""
    return await service_tokens.page(account(tokens, asker, account_id), query)


@api.post(TOKENS, refusals=service_tokens.CREATES)
async def create_service_token(
    tokens: Tokens, asker: Asker[Principal], *, account_id: AccountId, body: Body[NewServiceToken], key: IdempotencyKey
) -> New[ServiceTokenWithSecret]:
    """Create a service token. Only this answer contains its secret."""
    return New(await service_tokens.create(account(tokens, asker, account_id), body, key))


@api.get(TOKEN, refusals=service_tokens.READS)
async def get_service_token(
    tokens: Tokens, asker: Asker[Principal], *, account_id: AccountId, service_token_id: ServiceTokenId
) -> ServiceToken:
    """Read a service token."""
    return await service_tokens.show(account(tokens, asker, account_id), service_token_id)


@api.delete(TOKEN, refusals=service_tokens.READS)
async def delete_service_token(
    tokens: Tokens,
    asker: Asker[Principal],
    *,
    account_id: AccountId,
    service_token_id: ServiceTokenId,
    key: IdempotencyKey,
) -> ServiceToken:
    """Delete a service token."""
    return await service_tokens.delete(account(tokens, asker, account_id), service_token_id, key)


@api.post(f"{TOKEN}/refresh", refusals=service_tokens.REFRESHES)
async def refresh_service_token(
    tokens: Tokens,
    asker: Asker[Principal],
    *,
    account_id: AccountId,
    service_token_id: ServiceTokenId,
    key: IdempotencyKey,
) -> ServiceToken:
    """Refresh the expiration of a service token: its duration begins again now."""
    return await service_tokens.refresh(account(tokens, asker, account_id), service_token_id, key)


@api.post(f"{TOKEN}/rotate", refusals=service_tokens.ROTATES)
async def rotate_service_token(
    tokens: Tokens,
    asker: Asker[Principal],
    *,
    account_id: AccountId,
    service_token_id: ServiceTokenId,
    body: Body[Rotation],
    key: IdempotencyKey,
) -> ServiceTokenWithSecret:
    """Generate a new secret for a service token; the old one ends at once or at the stated time."""
    return await service_tokens.rotate(account(tokens, asker, account_id), service_token_id, body, key)
