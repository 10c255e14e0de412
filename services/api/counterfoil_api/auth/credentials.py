"""Credentials as a request presents them in its Authorization header, not yet verified."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web
from multidict import CIMultiDictProxy

from counterfoil.core.bounds import Address
from counterfoil.core.credentials import ID, Given, client_secret, is_id, token
from counterfoil.core.refusals import CredentialsRefused
from counterfoil.core.secret import stands_in
from counterfoil_api.http.addresses import client_of
from counterfoil_api.http.errors import CredentialsMissing, CredentialsRepeated, UnknownScheme

OTP_HEADER = "X-Authorization-OTP"
_LONGEST = 8_192
_IN_ACCOUNT = re.compile(rf"({ID.pattern})/(?P<email>.*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, repr=False)
class PasswordGiven:
    """A user's e-mail address and password, and the account that they log in to, if they name one."""

    email: str
    password: str
    account: UUID | None = None


Credentials = Given | PasswordGiven


@dataclass(frozen=True, slots=True, repr=False)
class PresentedCredentials:
    """A caller's credentials, one-time code and address.

    A bearer must be for the `audience`, a path below our own URL. With `as_owner`, the token of a login, or a bearer
    for this audience, may make changes that outlive it, as far as its user or its own token may. A secret can be
    accompanied by the `email` address of the user on whose behalf its token acts.
    """

    credentials: Credentials
    otp: str | None = None
    address: Address | None = None
    audience: str = ""
    as_owner: bool = False
    email: str | None = None


Pair = Callable[[str, str], Credentials]
"""Reads the user and the password of Basic authentication."""


def basic(user: str, password: str) -> Credentials:
    """Return what Basic authentication holds: a login, a token's id and secret, or a secret with an empty user."""
    if stands_in(user):  # a secret in the place of a name is never looked up
        raise CredentialsRefused
    if is_id(user):  # client_id and client_secret of OAuth (RFC 6749 2.3.1)
        return client_secret(user, password)
    return password_of(user, password) if user else token(password)


def presented_by(request: web.Request, pair: Pair = basic) -> PresentedCredentials:
    """Return the credentials, one-time code and address of a request."""
    given = request.headers.getall(OTP_HEADER, ())
    if len(given) > 1:
        raise CredentialsRefused("Send one one-time code, in one X-Authorization-OTP header.")
    return PresentedCredentials(
        credentials_of(request.headers, pair), given[0].strip() if given else None, client_of(request)
    )


def credentials_of(headers: CIMultiDictProxy[str], pair: Pair = basic) -> Credentials:
    """Return the one set of credentials of a request; refuse two."""
    given = headers.getall("Authorization", None)
    if given is None:
        raise CredentialsMissing
    if len(given) != 1:
        raise CredentialsRepeated("Send one Authorization header, not several.")
    return credentials(given[0], pair)


def credentials(header: str, pair: Pair = basic) -> Credentials:
    """Return the credentials in an Authorization header; no refusal repeats any of its text."""
    scheme, _, value = header.partition(" ")
    value = value.strip(" ")
    if len(value) > _LONGEST:
        raise CredentialsRefused
    match scheme.lower():
        case "bearer":
            return token(value)
        case "basic":
            return pair(*_user_and_password(value))
    raise UnknownScheme


def _user_and_password(value: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        raise CredentialsRefused("Basic credentials are base64 of name:password in UTF-8.") from None
    user, colon, password = text.partition(":")
    # RFC 7617 2: neither part may hold control characters of ASCII (RFC 5234 CTL).
    if not colon or _CONTROL.search(text):
        raise CredentialsRefused("Basic credentials are base64 of name:password in UTF-8.")
    return user, password


def password_of(login: str, password: str) -> PasswordGiven:
    """Return a login: an e-mail address, after ACCOUNT/ if the account is not the default one."""
    if named := _IN_ACCOUNT.fullmatch(login):
        return PasswordGiven(named["email"], password, UUID(named[1]))
    return PasswordGiven(login, password)
