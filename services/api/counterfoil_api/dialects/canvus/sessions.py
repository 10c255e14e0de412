"""Logins: a password, or a token, buys a token for a day."""

from typing import Final

import msgspec
from msgspec import UNSET

from counterfoil.core.bounds import Address
from counterfoil.core.credentials import token
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import CredentialsRefused, NotFound
from counterfoil.core.subjects.token.commands import Revoke
from counterfoil.core.subjects.token.state import is_session
from counterfoil.postgres.listing import one
from counterfoil.postgres.liveness import database_time
from counterfoil_api.auth.credentials import PresentedCredentials, password_of
from counterfoil_api.dialects.canvus.api import NAME, SHAPE, api
from counterfoil_api.dialects.canvus.documents import LoggedIn, Login, Logout, user_document
from counterfoil_api.dialects.logins import Kind, begin, log_in
from counterfoil_api.handling.issuing import Issuing
from counterfoil_api.handling.reading import Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.errors import CredentialsMissing, OtpRequired, RateLimited
from counterfoil_api.limits.callers import Callers
from counterfoil_api.operations.reading import Body, ClientAddress, Headers, OptionalCredentials
from counterfoil_api.operations.replies import JSON, Page

_DAY: Final = 86_400
_REFUSALS: Final = (CredentialsRefused, OtpRequired, RateLimited, NotFound)


class OneTimeCode(msgspec.Struct, frozen=True, kw_only=True, rename={"code": "X-Authorization-OTP"}):
    """A user's one-time code, if they use one."""

    code: str = ""


@api.post("/users/login", refusals=_REFUSALS)
async def log_in_user(
    callers: Callers,
    reading: Reading,
    issuing: Issuing,
    address: ClientAddress,
    *,
    body: Body[Login],
    headers: Headers[OneTimeCode],
) -> LoggedIn:
    """Log in with a password, or go on with a token: either gives a new token, which ends by itself after a day."""
    if body.token is not UNSET:
        asker = await _holder(callers, body.token, address)
        session = await begin(reading, issuing, asker, await _kind(reading, asker))
    elif body.email is not UNSET and body.password is not UNSET:
        given = password_of(body.email, body.password)
        session = await log_in(
            callers, reading, issuing, given, _lasting(_DAY), otp=headers.code or None, address=address
        )
    else:
        raise CredentialsMissing("Give an email and a password, or a token.")
    return LoggedIn(token=session.secret, user=user_document(session.user, session.token.created_at))


@api.post("/users/logout", refusals=_REFUSALS)
async def log_out(
    callers: Callers,
    reading: Reading,
    writing: Writing,
    approach: OptionalCredentials[PresentedCredentials],
    address: ClientAddress,
    *,
    body: Body[Logout],
) -> Page:
    """End the login that is named, or else the one that asks. An access token is ended by deleting it, and not here."""
    if body.token is not UNSET:
        asker = await _holder(callers, body.token, address)
    elif approach is not None:
        asker = await callers.authenticate(approach)
    else:
        raise CredentialsMissing("Name a token, or send one in the header Private-Token.")
    found = await one(reading.pool, asker.account, token_id=asker.actor.id)
    if found is not None and is_session(found.token.dialect):
        reason = "Logged out through the Canvus API."
        await writing.execute(Revoke(account=asker.account, token_id=found.token.id, by=asker, reason=reason))
    return Page(b"", JSON)


async def _holder(callers: Callers, text: str, address: Address | None) -> Principal:
    return await callers.authenticate(PresentedCredentials(token(text), address=address, as_owner=True))


async def _kind(reading: Reading, asker: Principal) -> Kind:
    """A day, or what is left of the token that logs in."""
    if asker.expires_at is None:
        return _lasting(_DAY)
    left = (asker.expires_at - await database_time(reading.pool)).total_seconds()
    return _lasting(max(1, min(_DAY, int(left))))


def _lasting(seconds: int) -> Kind:
    return Kind(dialect=NAME, seconds=seconds, shape=SHAPE)
