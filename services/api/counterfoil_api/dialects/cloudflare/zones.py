"""Service tokens of a zone, which owns them."""

from counterfoil.core.principal import Principal
from counterfoil_api.dialects.cloudflare import service_tokens
from counterfoil_api.dialects.cloudflare.api import api
from counterfoil_api.dialects.cloudflare.documents import (
    NewServiceToken,
    Paging,
    ServiceToken,
    ServiceTokens,
    ServiceTokenWithSecret,
)
from counterfoil_api.dialects.cloudflare.service_tokens import ServiceTokenId, ZoneId, zone
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.operations.reading import Asker, Body, IdempotencyKey, Query
from counterfoil_api.operations.replies import New

TOKENS = "/zones/{zone_id}/access/service_tokens"
TOKEN = f"{TOKENS}/{{service_token_id}}"


@api.get(TOKENS, refusals=service_tokens.READS)
async def list_service_tokens_of_zone(
    tokens: Tokens, asker: Asker[Principal], *, zone_id: ZoneId, query: Query[Paging]
) -> ServiceTokens:
    """List the service tokens of a zone."""
    return await service_tokens.page(await zone(tokens, asker, zone_id), query)


@api.post(TOKENS, refusals=service_tokens.CREATES)
async def create_service_token_of_zone(
    tokens: Tokens, asker: Asker[Principal], *, zone_id: ZoneId, body: Body[NewServiceToken], key: IdempotencyKey
) -> New[ServiceTokenWithSecret]:
    """Create a service token of a zone. Only this answer contains its secret."""
    return New(await service_tokens.create(await zone(tokens, asker, zone_id), body, key))


@api.get(TOKEN, refusals=service_tokens.READS)
async def get_service_token_of_zone(
    tokens: Tokens, asker: Asker[Principal], *, zone_id: ZoneId, service_token_id: ServiceTokenId
) -> ServiceToken:
    """Read a service token of a zone."""
    return await service_tokens.show(await zone(tokens, asker, zone_id), service_token_id)


@api.delete(TOKEN, refusals=service_tokens.READS)
async def delete_service_token_of_zone(
    tokens: Tokens, asker: Asker[Principal], *, zone_id: ZoneId, service_token_id: ServiceTokenId, key: IdempotencyKey
) -> ServiceToken:
    """Delete a service token of a zone."""
    return await service_tokens.delete(await zone(tokens, asker, zone_id), service_token_id, key)
