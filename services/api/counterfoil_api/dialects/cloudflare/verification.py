"""Verification of a client id and secret for a protected service; the rules are those of introspection."""

from typing import Annotated

import msgspec
from msgspec import Meta

from counterfoil.core.refusals import CredentialsRefused
from counterfoil_api.auth.principals import Caller, need
from counterfoil_api.auth.proof import pair
from counterfoil_api.dialects.cloudflare.api import CLIENT_HEADERS, api
from counterfoil_api.dialects.cloudflare.documents import Moment, client_id, moment
from counterfoil_api.dialects.cloudflare.paths import ACCOUNT, AccountId, require_own
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.operations.reading import ClientAddress, Headers


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """What a third party presented."""

    client_id: str = msgspec.field(default="", name=CLIENT_HEADERS[0])
    client_secret: str = msgspec.field(default="", name=CLIENT_HEADERS[1])


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Active with the service token; otherwise nothing else."""

    active: bool
    client_id: str | None = None
    expires_at: Annotated[Moment | None, Meta(description="When this secret expires; null is never.")] = None
    id: str | None = None


@api.both(f"{ACCOUNT}/verify", only_reads=True, scope="tokens.introspect")
async def verify_service_token(
    tokens: Tokens, caller: Caller, *, account_id: AccountId, headers: Headers[Pair], address: ClientAddress
) -> Verdict:
    """Verify a client id and secret as of now.

    Send the pair as the third party sent it. A valid pair counts as a use of the token: `last_seen_at`.
    """
    require_own(caller, account_id)
    need(caller, "tokens.introspect")
    if not headers.client_id or not headers.client_secret:
        raise InvalidRequest(f"Send {CLIENT_HEADERS[0]} and {CLIENT_HEADERS[1]}.", where="header")
    try:
        given = pair((headers.client_id,), (headers.client_secret,))
    except CredentialsRefused:
        return Verdict(active=False)
    found = await tokens.callers.introspect(given, caller.account, address)
    if found is None:
        return Verdict(active=False)
    seen, until = found.seen, found.until
    return Verdict(
        active=True,
        client_id=client_id(seen.id),
        expires_at=None if until is None else moment(until),
        id=str(seen.id),
    )
