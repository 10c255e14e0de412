"""RFC 8693 with the JWT of an issuer that a token trusts: a bearer without a stored secret."""

from collections.abc import Mapping
from uuid import UUID

from counterfoil.core.credentials import BearerGiven
from counterfoil.core.refusals import CredentialsRefused, Denied
from counterfoil.postgres.lookup import Trusting
from counterfoil.uses.verify import Verifying
from counterfoil_api.auth.credentials import PresentedCredentials
from counterfoil_api.auth.issuers import Issuers
from counterfoil_api.auth.issuers.assertion import read
from counterfoil_api.handling.token_exchange import BearerRequest, Exchanging, IssuedBearer, with_assertion
from counterfoil_api.http.errors import AssertionRefused, ExchangeRefused, InvalidRequest
from counterfoil_api.native.oauth.token_requests import ID_TOKEN, JWT, TokenRequest


async def jwt_in(verifying: Verifying, form: TokenRequest) -> BearerGiven | None:
    """Return the JWT of another issuer if the request exchanges one; a bearer of ours is none."""
    kind, text = form.subject_token_type, form.subject_token
    if kind not in (JWT, ID_TOKEN) or not form.client_id or text.count(".") != 2:
        return None
    given = BearerGiven(text)
    return None if kind == JWT and await _is_ours(verifying, given) else given


async def exchanged(
    exchanging: Exchanging, issuers: Issuers, form: TokenRequest, given: BearerGiven, request: BearerRequest
) -> IssuedBearer:
    """Issue a bearer for a JWT, under the trust of the token that `client_id` names.

    An unknown token gets the same refusal as a JWT that no token trusts. If the trusted issuer signed the JWT, the
    refusal says what is wrong with it, and is listed among the account's attempts.
    """
    if form.actor_token or form.actor_token_type:
        raise InvalidRequest(
            "A JWT is exchanged without an actor_token; exchange the bearer that you receive.", where="form"
        )
    client = _id_of(form.client_id)
    found = None if client is None else await exchanging.verifying.lookup.by_trust(client)
    presented = PresentedCredentials(given, address=request.address)
    try:
        return await exchanging.limits.guard.over(
            presented, lambda: _issued(exchanging, issuers, found, given, request), account=client
        )
    except CredentialsRefused as refusal:
        raise AssertionRefused(refusal.detail) from None
    except Denied as refusal:
        raise ExchangeRefused(refusal.detail) from None


async def _issued(
    exchanging: Exchanging, issuers: Issuers, found: Trusting | None, given: BearerGiven, request: BearerRequest
) -> IssuedBearer:
    try:
        token, claims = await _verified(issuers, found, given)
    except AssertionRefused as refusal:
        raise CredentialsRefused(refusal.detail) from None  # counted like any other malformed credentials
    exchanging.limits.guard.remember_token(given, token.account, token.id)
    return await with_assertion(exchanging, token, claims, request)


async def _verified(
    issuers: Issuers, found: Trusting | None, given: BearerGiven
) -> tuple[Trusting, Mapping[str, object]]:
    """Return the token and the claims of the JWT; the refusal does not tell whether there is such a token."""
    read(given.text)
    if found is None:
        raise AssertionRefused
    trust = found.trust
    return found, await issuers.verified(given.text, issuer=trust.issuer, audience=trust.audience, at=found.at)


async def _is_ours(verifying: Verifying, given: BearerGiven) -> bool:
    try:
        await verifying.keys.claims_of(given.text)
    except CredentialsRefused:
        return False
    return True


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
