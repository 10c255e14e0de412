"""Logins: a password or a token gives a token for a day."""

import msgspec
from msgspec import UNSET

from counterfoil.core.bounds import Address
from counterfoil.core.credentials import token
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import CredentialsRefused, NotFound
from counterfoil.core.subjects.token.commands import Revoke
from counterfoil_api.auth.credentials import PresentedCredentials, password_of
from counterfoil_api.dialects.canvus.api import NAME, SHAPE, api
from counterfoil_api.dialects.canvus.documents import LoggedIn, Login, Logout, user_document
from counterfoil_api.dialects.logins import LOGIN_REFUSALS, log_in, session_of
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.http.errors import CredentialsMissing
from counterfoil_api.operations.reading import Body, ClientAddress, Headers, OptionalCredentials
from counterfoil_api.operations.replies import JSON, Page


class OneTimeCode(msgspec.Struct, frozen=True, kw_only=True, rename={"code": "X-Authorization-OTP"}):
    """A user's one-time code, if they use one."""

    code: str = ""


@api.post("/users/login", refusals=(*LOGIN_REFUSALS, NotFound))
async def log_in_user(
    tokens: Tokens, address: ClientAddress, *, body: Body[Login], headers: Headers[OneTimeCode]
) -> LoggedIn:
    """Log in with a password, or with a token: either gives a new token, which expires after a day."""
    if body.token is not UNSET:
        caller = await _holder(tokens, body.token, address)
    elif body.email is not UNSET and body.password is not UNSET:
        given = password_of(body.email, body.password)
        caller = await tokens.callers.authenticate(PresentedCredentials(given, headers.code or None, address))
    else:
        raise CredentialsMissing("Give an email and a password, or a token.")
    session = await log_in(tokens, caller, NAME, shape=SHAPE)
    return LoggedIn(token=session.secret, user=user_document(session.user, session.token.created_at))


@api.post("/users/logout", executes=(Revoke,), refusals=(CredentialsRefused,))
async def log_out(
    tokens: Tokens, presented: OptionalCredentials[PresentedCredentials], address: ClientAddress, *, body: Body[Logout]
) -> Page:
    """End the named login, or else the one that calls. To end an access token, delete it."""
    if body.token is not UNSET:
        caller = await _holder(tokens, body.token, address)
    elif presented is not None:
        caller = await tokens.callers.authenticate(presented)
    else:
        raise CredentialsMissing("Name a token, or send one in the header Private-Token.")
    if await session_of(tokens, caller) is not None:
        reason = "Logged out through the Canvus API."
        await tokens.writing.execute(Revoke(account=caller.account, id=caller.actor.id, by=caller, reason=reason))
    return Page(b"", JSON)


async def _holder(tokens: Tokens, text: str, address: Address | None) -> Principal:
    return await tokens.callers.authenticate(PresentedCredentials(token(text), address=address, as_owner=True))
