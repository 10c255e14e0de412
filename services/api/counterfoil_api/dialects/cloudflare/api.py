"""The conventions and the credentials of Cloudflare's API."""

import asyncio
import hmac
import re
from typing import Final

from aiohttp import web

from counterfoil.core.credentials import BearerGiven, SecretGiven, token
from counterfoil.core.refusals import CredentialsRefused
from counterfoil.core.secret import HEX, SecretShape
from counterfoil.idempotency import Attempt
from counterfoil_api.auth.credentials import PasswordGiven, PresentedCredentials, credentials_of
from counterfoil_api.dialects.cloudflare.documents import Result
from counterfoil_api.dialects.cloudflare.errors import ERRORS
from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.http.addresses import client_of
from counterfoil_api.http.errors import CredentialsMissing, CredentialsRepeated, UnknownScheme
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.conventions import Conventions
from counterfoil_api.operations.retries import Retry, by_key, whole_request

NAME: Final = "cloudflare"
SHAPE: Final = SecretShape("", HEX, 64)
CLIENT_HEADERS: Final = ("CF-Access-Client-Id", "CF-Access-Client-Secret")
_PREFIX: Final = f"/{NAME}/client/v4"
_EMAIL: Final = "X-Auth-Email"
_ATTEMPT: Final = "X-Stainless-Retry-Count"
_COUNT: Final = re.compile(r"[0-9]{1,4}")
_KEYS: Final = ("X-Auth-Key", "X-Auth-User-Service-Key")


def presented(request: web.Request, _: bytes) -> PresentedCredentials:
    """Read the credentials: a bearer token, or a token's secret as a key with the e-mail address of its owner.

    Raises CredentialsMissing, CredentialsRefused, CredentialsRepeated, UnknownScheme.
    """
    keys = [(name, key) for name in _KEYS for key in request.headers.getall(name, ())]
    if len(keys) + len(request.headers.getall("Authorization", ())) > 1:
        raise CredentialsRepeated
    address = client_of(request)
    if not keys:
        if request.headers.get("Authorization", "Bearer ")[:7].lower() != "bearer ":
            raise UnknownScheme
        return PresentedCredentials(credentials_of(request.headers), address=address, as_owner=True)
    (name, key), emails = keys[0], request.headers.getall(_EMAIL, ())
    given = token(key.strip(" "))
    if not isinstance(given, SecretGiven):
        raise CredentialsRefused
    if name != _KEYS[0]:
        return PresentedCredentials(given, address=address, as_owner=True)
    if len(emails) != 1:
        raise CredentialsMissing("Send X-Auth-Email, once, together with X-Auth-Key.")
    return PresentedCredentials(given, address=address, as_owner=True, email=emails[0].strip(" "))


def by_attempt(request: web.Request, raw: bytes) -> Retry | None:
    """Read what identifies a retry: an Idempotency-Key, or the attempt number that the vendor's clients send.

    The key of these is made of their credentials, which the database does not store, and of the whole request.
    """
    stated = request.headers.get(_ATTEMPT, "")
    if "Idempotency-Key" in request.headers or not _COUNT.fullmatch(stated):
        return by_key(request, raw)
    given, whole = presented(request, raw).credentials, whole_request(request, raw)
    if isinstance(given, PasswordGiven):  # which `presented` never gives
        return None
    secret = given.text if isinstance(given, BearerGiven) else given.plain
    text = b"".join(len(part).to_bytes(4, "big") + part for part in whole)
    key = hmac.digest(secret.encode(), b"counterfoil attempt" + text, "sha256").hex()
    return Retry(key, whole, attempt=Attempt(int(stated), asyncio.get_running_loop().time()))


api: Final = Api("access", Conventions(
    prefix=_PREFIX, error_format=ERRORS, envelope=Result, credentials=presented, retry=by_attempt,
    lenient=True, any_media_type=True,
    schemes={
        "api_token": {
            "type": "http", "scheme": "bearer",
            "description": "A token's secret, or a bearer token that was issued for it.",
        },
        "api_key": {
            "type": "apiKey", "in": "header", "name": _KEYS[0],
            "description": f"The secret of a token of a user; {_EMAIL} is the e-mail address of this user.",
        },
        "user_service_key": {
            "type": "apiKey", "in": "header", "name": _KEYS[1], "description": "A token's secret.",
        },
    },
))  # fmt: skip
DIALECT: Final = Dialect(
    name=NAME, title="Cloudflare", base=_PREFIX, api=api, shape=SHAPE, client_headers=CLIENT_HEADERS
)
