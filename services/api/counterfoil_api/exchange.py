"""Exchange: a long-lived token buys a short-lived bearer."""

from uuid import UUID

from msgspec import UNSET
from uuid_utils.compat import uuid7

from counterfoil.commands import ExchangeSecret
from counterfoil.events import Exchanged
from counterfoil.fold import Outcome
from counterfoil.refusals import BadScope, BeyondCaller, EntryTooLarge
from counterfoil.secret import recognised
from counterfoil_api.api import Api
from counterfoil_api.authentication import Approach, SecretGiven
from counterfoil_api.complaints import CredentialsRefused
from counterfoil_api.documents import BearerDocument, ExchangeRequest
from counterfoil_api.examples import BEARER, EXCHANGE
from counterfoil_api.keys import Claims
from counterfoil_api.ledger import Ledger
from counterfoil_api.reading import Body, Presented

api = Api("bearers")


@api.post("/v1/exchange", refusals=(BadScope, BeyondCaller, EntryTooLarge), asks=EXCHANGE, answers=BEARER)
async def exchange_token(ledger: Ledger, approach: Presented[Approach], body: Body[ExchangeRequest]) -> BearerDocument:
    """Exchange a token's secret for a bearer.

    The secret is presented like any credentials. A bearer ends with its lifetime, its token or its secret, whichever
    is first; without an audience it is for this service. A bearer cannot be exchanged again.
    """
    ring = await ledger.keys.ring()
    outcome = await ledger.limits.guard.over(approach, lambda: _bought(ledger, approach, body))
    claims = _claims(ledger.settings.public_url, outcome)
    return BearerDocument(
        access_token=ring.sign(claims),
        expires_in=claims.exp - claims.iat,
        scope=claims.scope,
        jti=UUID(claims.jti),
    )


async def _bought(ledger: Ledger, approach: Approach, body: ExchangeRequest) -> Outcome:
    """The exchange itself. The door finds the token while it takes its row: no look-up that could be outdated."""
    if not isinstance(approach.credentials, SecretGiven):
        raise CredentialsRefused("Only a token's secret can be exchanged.")
    secret = recognised(approach.credentials.plain)
    if secret is None:
        raise CredentialsRefused
    command = ExchangeSecret(
        digests=ledger.peppers.digests(secret),
        jti=uuid7(),
        lifetime_seconds=ledger.settings.bearer_lifetime_seconds,
        audience=(body.audience,) if isinstance(body.audience, str) else body.audience,
        scopes=None if body.scopes is UNSET else body.scopes,
    )
    await ledger.limits.allowance.spend_by_secret(command.digests[0])
    return await ledger.door.execute(command)


def _claims(issuer: str, outcome: Outcome) -> Claims:
    token, event = outcome.token, outcome.facts[0].event
    if not isinstance(event, Exchanged):
        raise TypeError("an exchange ends in `exchanged`")
    audience = event.audience or (issuer,)
    return Claims(
        iss=issuer,
        sub=token.owner.id,
        client_id=str(token.id),
        aud=audience[0] if len(audience) == 1 else audience,
        iat=int(outcome.at.timestamp()),
        # Rounded down: a bearer never outlives its token by the rest of a second.
        exp=int(event.expires_at.timestamp()),
        jti=str(event.jti),
        scope=" ".join(event.scopes),
        account=token.account,
        token=token.id,
        generation=event.generation,
    )
