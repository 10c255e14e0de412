"""RFC 6749 3.2: issues bearers to OAuth clients, for client credentials or by token exchange (RFC 8693)."""

from dataclasses import replace
from typing import Final
from uuid import UUID

from msgspec import UNSET, UnsetType, structs

from counterfoil.core.bounds import Address
from counterfoil.core.credentials import BearerGiven, SecretGiven
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BadScope, BeyondAudience, CredentialsRefused, Denied
from counterfoil.core.subjects.token.commands import Exchange
from counterfoil_api.auth.credentials import PresentedCredentials
from counterfoil_api.auth.issuers import Issuers
from counterfoil_api.handling.token_exchange import BearerRequest, Exchanging, IssuedBearer, with_bearer, with_secret
from counterfoil_api.http.errors import (
    AssertionRefused,
    CredentialsMissing,
    CredentialsRepeated,
    ExchangeRefused,
    IssuerUnavailable,
    TargetRefused,
    UnsupportedGrantType,
)
from counterfoil_api.limits.callers import Callers
from counterfoil_api.native.oauth import assertions
from counterfoil_api.native.oauth.client_authentication import CLIENTS
from counterfoil_api.native.oauth.oauth_errors import OAUTH
from counterfoil_api.native.oauth.token_requests import (
    ACCESS_TOKEN,
    CLIENT,
    EXCHANGE,
    OAuthBearer,
    TokenRequest,
    TokenType,
)
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import ClientAddress, Form, OptionalCredentials
from counterfoil_api.operations.replies import TOKEN_HEADERS

api = Api("oauth", CLIENTS)

_NEEDED: Final = "client_credentials needs a token's id as client_id and its secret as client_secret."


@api.post(
    "/v1/oauth/token",
    executes=(Exchange,),
    error_format=OAUTH,
    headers=TOKEN_HEADERS,
    refusals=(
        *(CredentialsMissing, CredentialsRepeated, UnsupportedGrantType, ExchangeRefused, TargetRefused),
        *(BeyondAudience, BadScope, AssertionRefused, IssuerUnavailable),
    ),
    example=TokenRequest(
        grant_type=EXCHANGE,
        subject_token="cfl_service_4dQp…",  # noqa: S106 - nobody's
        subject_token_type=ACCESS_TOKEN,
        scope="archive.read",
        audience=("https://archive.example.org",),
    ),
)
async def grant_bearer(
    exchanging: Exchanging, callers: Callers, issuers: Issuers, client: OptionalCredentials[PresentedCredentials],
    address: ClientAddress, *, form: Form[TokenRequest],
) -> OAuthBearer:  # fmt: skip
    """Get a bearer the OAuth way: RFC 6749 4.4 (client credentials) or RFC 8693 (token exchange).

    With `client_credentials`, the client_id is a token's id and the client_secret its secret. Token exchange takes a
    token's secret or a bearer as subject_token. The new bearer never holds more than that (scope, audience, lifetime),
    and names the token of the actor_token in `act`. Client authentication is not needed, because the subject_token
    alone gives as much; wrong client authentication is refused all the same.

    A token with a `trust` needs no secret: send its id as client_id, and as subject_token a JWT of the trusted issuer
    (of type urn:ietf:params:oauth:token-type:jwt or …:id_token) that meets the trust's conditions.
    """
    async with callers.judging(client):
        if form.grant_type not in (CLIENT, EXCHANGE):
            raise UnsupportedGrantType
        issued_token_type = UNSET if form.grant_type == CLIENT else form.issued_token_type
    if form.grant_type == CLIENT:
        return _document(await _for_client(exchanging, callers, client, form, address))
    if client is not None:
        await callers.authenticate(client)
    return _document(await _exchanged(exchanging, callers, issuers, form, address), issued_token_type)


def _request(form: TokenRequest, address: Address | None) -> BearerRequest:
    return BearerRequest(audience=form.targets, scopes=form.scopes, lifetime_seconds=form.expires_in, address=address)


async def _for_client(
    exchanging: Exchanging, callers: Callers, presented: PresentedCredentials | None, form: TokenRequest,
    address: Address | None,
) -> IssuedBearer:  # fmt: skip
    async with callers.judging(presented):
        request = _request(form, address)
        if presented is None:
            raise CredentialsMissing(_NEEDED)
        given = presented.credentials
        if not isinstance(given, SecretGiven):
            raise CredentialsRefused(_NEEDED)
    return await exchanging.limits.guard.over(presented, lambda: with_secret(exchanging, given, request))


async def _exchanged(
    exchanging: Exchanging, callers: Callers, issuers: Issuers, form: TokenRequest, address: Address | None
) -> IssuedBearer:
    if (assertion := await assertions.jwt_in(exchanging.verifying, form)) is not None:
        return await assertions.exchanged(exchanging, issuers, form, assertion, _request(form, address))
    try:
        subject = form.subject
        presented = PresentedCredentials(subject, address=address)
        async with callers.judging(presented):
            request = _request(form, address)
            actor = None if (acting := form.actor) is None else await _actor(callers, acting, address)
        request = replace(request, actor=actor)
        return await exchanging.limits.guard.over(presented, lambda: _issued(exchanging, subject, request))
    except (Denied, CredentialsRefused) as refusal:
        # RFC 8693 2.2.2: any fault of either token is `invalid_request`.
        raise ExchangeRefused(refusal.detail) from None


async def _issued(exchanging: Exchanging, subject: SecretGiven | BearerGiven, request: BearerRequest) -> IssuedBearer:
    if isinstance(subject, SecretGiven):
        return await with_secret(exchanging, subject, request)
    return await with_bearer(exchanging, subject, request)


async def _actor(callers: Callers, acting: SecretGiven | BearerGiven, address: Address | None) -> Principal:
    """Authenticate the token that acts, like any caller: a bearer for another service does not prove it."""
    actor = await callers.authenticate(PresentedCredentials(acting, address=address))
    if actor.delegated:
        raise CredentialsRefused("The actor_token is a bearer token that has an actor itself; send one without.")
    return structs.replace(actor, scopes=())  # acting needs no scope


def _document(issued: IssuedBearer, issued_token_type: TokenType | UnsetType = UNSET) -> OAuthBearer:
    claims = issued.claims
    return OAuthBearer(
        access_token=issued.text,
        issued_token_type=issued_token_type,
        expires_in=claims.exp - claims.iat,
        scope=claims.scope,
        jti=UUID(claims.jti),
    )
