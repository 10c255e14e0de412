"""RFC 7009: revoke a token by its secret."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from counterfoil.core.credentials import BearerGiven, token
from counterfoil.core.refusals import CredentialsRefused
from counterfoil.uses.verify import Verifying
from counterfoil_api.auth.principals import Caller, reach
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.addresses import network_of
from counterfoil_api.http.errors import UnsupportedTokenType
from counterfoil_api.native.oauth.client_authentication import CLIENTS, ClientFields
from counterfoil_api.native.oauth.oauth_errors import OAUTH
from counterfoil_api.native.tokens.revoke_by_secret import end, opened_by
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import ClientAddress, Form

api = Api("oauth", CLIENTS)

_REASON: Final = "Revoked by its secret (RFC 7009)."


class PresentedToken(ClientFields, frozen=True, kw_only=True):
    """The token to revoke."""

    token: Annotated[str, Meta(min_length=1, description="The secret of the token to revoke.")]
    token_type_hint: Annotated[str, Meta(description="Not needed; it is ignored.")] = ""


class Done(msgspec.Struct, frozen=True):
    """An empty reply."""


@api.post(
    "/v1/oauth/revoke",
    error_format=OAUTH,
    scope="tokens.revoke",
    refusals=(UnsupportedTokenType,),
    example=PresentedToken(token="cfl_service_4dQp…"),  # noqa: S106 - nobody's
)
async def revoke_presented(
    writing: Writing,
    verifying: Verifying,
    caller: Caller,
    *,
    form: Form[PresentedToken],
    address: ClientAddress,
) -> Done:
    """Revoke a token by its secret (RFC 7009).

    The reply is the same for a secret that is unknown, dead or another account's. A token revokes itself without any
    scope. A bearer always gets `unsupported_token_type`: it expires within the hour, and ends at once with the token
    that it names as client_id.
    """
    try:
        presented = token(form.token)
    except CredentialsRefused:
        return Done()
    if isinstance(presented, BearerGiven):
        raise UnsupportedTokenType
    found = await opened_by(verifying, presented, account=caller.account, used_from=network_of(address))
    if found is None:
        reach(caller, "tokens.revoke")
        return Done()
    seen = found.seen
    if (caller.actor.kind, caller.actor.id) == ("token", seen.id):
        await end(writing, seen, by=caller, reason=_REASON)
        return Done()
    within = reach(caller, "tokens.revoke")
    if within in (None, seen.owner):
        await end(writing, seen, by=caller, reason=_REASON)
    return Done()
