"""RFC 7009: end a token by its secret."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from counterfoil.core.credentials import BearerGiven, token
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import CredentialsRefused
from counterfoil.uses.verify import Sources
from counterfoil_api.auth.principals import reach
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.errors import UnsupportedTokenType
from counterfoil_api.native.oauth.client_authentication import CLIENT_ID, CLIENT_SECRET, CLIENTS
from counterfoil_api.native.oauth.oauth_errors import OAUTH
from counterfoil_api.native.tokens.revoke_by_secret import end, opened_by
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Asker, Form

api = Api("oauth", CLIENTS)

_REASON: Final = "Revoked by its secret (RFC 7009)."


class PresentedToken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to end; parameters that we do not know are ignored (RFC 6749 3.2)."""

    token: Annotated[str, Meta(min_length=1, description="The secret of the token that is to end.")]
    token_type_hint: Annotated[str, Meta(description="Not needed: one look tells.")] = ""
    client_id: Annotated[str, Meta(description=CLIENT_ID)] = ""
    client_secret: Annotated[str, Meta(description=CLIENT_SECRET)] = ""


class Done(msgspec.Struct, frozen=True):
    """Nothing needs to be said."""


@api.post(
    "/v1/oauth/revoke",
    error_format=OAUTH,
    scope="tokens.revoke",
    refusals=(UnsupportedTokenType,),
    asks=PresentedToken(token="cfl_service_4dQp…"),  # noqa: S106 - nobody's
)
async def revoke_presented(
    writing: Writing, sources: Sources, asker: Asker[Principal], *, form: Form[PresentedToken]
) -> Done:
    """End a token by its secret (RFC 7009).

    The answer is the same for a secret that is unknown, dead or another account's. A token ends itself without any
    scope. A bearer is answered with `unsupported_token_type`, whosever it is: it ends by itself within the hour, or at
    once with the token that it names as client_id.
    """
    try:
        presented = token(form.token)
    except CredentialsRefused:
        return Done()
    if isinstance(presented, BearerGiven):
        raise UnsupportedTokenType
    found = await opened_by(sources, presented, account=asker.account, is_use=True)
    if found is None:
        reach(asker, "tokens.revoke")
        return Done()
    seen = found.seen
    if (asker.actor.kind, asker.actor.id) == ("token", seen.id):
        await end(writing, seen, by=asker, reason=_REASON)
        return Done()
    within = reach(asker, "tokens.revoke")
    if within in (None, seen.owner):
        await end(writing, seen, by=asker, reason=_REASON)
    return Done()
