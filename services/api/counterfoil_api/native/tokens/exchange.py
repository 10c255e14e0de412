"""Exchange of a token's secret for a short-lived bearer."""

from uuid import UUID

from msgspec import UNSET

from counterfoil.core.credentials import SecretGiven
from counterfoil.core.duration import seconds
from counterfoil.core.refusals import BadDuration, CredentialsRefused
from counterfoil.core.subjects.token.commands import Exchange
from counterfoil.documents.bearers import BearerDocument, ExchangeRequest
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.credentials import PresentedCredentials
from counterfoil_api.handling.token_exchange import BearerRequest, Exchanging, with_secret
from counterfoil_api.limits.callers import Callers
from counterfoil_api.native.tokens.examples import BEARER, EXCHANGE
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, Presented

api = Api("bearers", OURS)


@api.post("/v1/exchange", executes=(Exchange,), refusals=(BadDuration,), example=EXCHANGE, example_reply=BEARER)
async def exchange_token(
    exchanging: Exchanging, callers: Callers, presented: Presented[PresentedCredentials], body: Body[ExchangeRequest]
) -> BearerDocument:
    """Exchange a token's secret for a bearer.

    The secret is presented like any credentials. A bearer ends with its lifetime, its token or its secret, whichever
    is first; without an audience it is for this service. A bearer is exchanged for a lesser one at `/v1/oauth/token`.
    """
    async with callers.judging(presented):
        given, request = _secret(presented), _request(body, presented)
    issued = await exchanging.limits.guard.over(presented, lambda: with_secret(exchanging, given, request))
    claims = issued.claims
    return BearerDocument(
        access_token=issued.text, expires_in=claims.exp - claims.iat, scope=claims.scope, jti=UUID(claims.jti)
    )


def _request(body: ExchangeRequest, presented: PresentedCredentials) -> BearerRequest:
    lifetime = None if body.lifetime is None else seconds(body.lifetime, field="lifetime")
    if lifetime == 0:
        raise BadDuration(
            f"A lifetime of {body.lifetime} is too short; give at least 1s, such as 5m.", field="lifetime"
        )
    return BearerRequest(
        audience=(body.audience,) if isinstance(body.audience, str) else body.audience,
        scopes=None if body.scopes is UNSET else body.scopes,
        lifetime_seconds=lifetime,
        address=presented.address,
    )


def _secret(presented: PresentedCredentials) -> SecretGiven:
    if not isinstance(presented.credentials, SecretGiven):
        raise CredentialsRefused("Only a token's secret can be exchanged for a bearer token; send the secret.")
    return presented.credentials
