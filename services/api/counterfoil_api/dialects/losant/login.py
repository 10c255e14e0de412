"""Losant's login at `/auth/user`: a password, and perhaps a code, gives a token for a time."""

from msgspec import UNSET

from counterfoil.core.refusals import BeyondCaller
from counterfoil_api.auth.credentials import PresentedCredentials, password_of
from counterfoil_api.dialects.logins import DAY_SECONDS, LOGIN_REFUSALS, log_in
from counterfoil_api.dialects.losant.api import NAME, api
from counterfoil_api.dialects.losant.documents import USER, LoggedIn, Login
from counterfoil_api.dialects.losant.scopes import login_scopes, scopes_of
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.operations.reading import Body, ClientAddress


@api.post("/auth/user", refusals=(*LOGIN_REFUSALS, BeyondCaller))
async def authenticate_user(tokens: Tokens, address: ClientAddress, *, body: Body[Login]) -> LoggedIn:
    """Log in with an e-mail address, a password and perhaps a code.

    The token is valid for a day, or for `tokenTTL` seconds. Without `requestedScopes`, or with `all.User`, it has the
    scopes of its user. Others apply in every application whose tokens its user may reach.
    """
    requested = body.requested_scopes
    stated = () if requested is UNSET else scopes_of(requested, field="requestedScopes", of_applications=False)
    given = password_of(body.email, body.password)
    caller = await tokens.callers.authenticate(PresentedCredentials(given, body.two_factor_code or None, address))
    scopes = None if requested is UNSET else login_scopes(caller, stated)
    session = await log_in(tokens, caller, NAME, seconds=body.token_ttl or DAY_SECONDS, scopes=scopes)
    user, ids = session.user, tokens.reading.opaque_ids
    return LoggedIn(user_id=ids.number24(USER, user.account, user.number or 0), token=session.secret)
