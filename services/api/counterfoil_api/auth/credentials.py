"""Who says they are asking: the Authorization header, read but not yet believed."""

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
    """A person's e-mail address and password, and the account that they log in to, where they say which."""

    email: str
    password: str
    account: UUID | None = None


Credentials = Given | PasswordGiven


@dataclass(frozen=True, slots=True, repr=False)
class PresentedCredentials:
    """How somebody comes to us: their credentials, the one-time code beside them, and the address they come from.

    A bearer has to be for the `audience`, a path below our own URL. With `as_owner` what a login gave for a time, or an
    exchange for this very audience, lets its holder do what outlives it, as far as the user who logged in, or the token
    that was exchanged, may.
    Beside a secret may stand the `email` address of the user on whose behalf its token acts.
    """

    credentials: Credentials
    otp: str | None = None
    address: Address | None = None
    audience: str = ""
    as_owner: bool = False
    email: str | None = None


Pair = Callable[[str, str], Credentials]
"""What the user and the password of Basic authentication are."""


def basic(user: str, password: str) -> Credentials:
    """What Basic authentication holds: a login, a token's id and its secret, or a secret whose user is empty."""
    if stands_in(user):  # nobody is called so; it is not asked for, either
        raise CredentialsRefused
    if is_id(user):  # OAuth's way: client_id and client_secret (RFC 6749 2.3.1)
        return client_secret(user, password)
    return password_of(user, password) if user else token(password)


def approach_of(request: web.Request, pair: Pair = basic) -> PresentedCredentials:
    """What a request says of who is asking."""
    given = request.headers.getall(OTP_HEADER, ())
    if len(given) > 1:
        raise CredentialsRefused("Send one one-time code, in one X-Authorization-OTP header.")
    return PresentedCredentials(
        credentials_of(request.headers, pair), given[0].strip() if given else None, client_of(request)
    )


def credentials_of(headers: CIMultiDictProxy[str], pair: Pair = basic) -> Credentials:
    """The one set of credentials that a request carries; two are as bad as none."""
    given = headers.getall("Authorization", None)
    if given is None:
        raise CredentialsMissing
    if len(given) != 1:
        raise CredentialsRepeated("Send one Authorization header, not several.")
    return credentials(given[0], pair)


def credentials(header: str, pair: Pair = basic) -> Credentials:
    """What an Authorization header holds; of its contents no complaint repeats a character."""
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
    # RFC 7617 2: neither part may hold control characters, which are those of ASCII (RFC 5234 CTL).
    if not colon or _CONTROL.search(text):
        raise CredentialsRefused("Basic credentials are base64 of name:password in UTF-8.")
    return user, password


def password_of(login: str, password: str) -> PasswordGiven:
    """What somebody logs in with: an e-mail address, outside the default account after ACCOUNT/."""
    if named := _IN_ACCOUNT.fullmatch(login):
        return PasswordGiven(named["email"], password, UUID(named[1]))
    return PasswordGiven(login, password)
