"""The conventions of Virtuozzo's API: the envelope, the codes of its refusals, `session` and retries.

Every answer has the HTTP status 200; `result` is 0 for success, otherwise the code of an error.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec
from aiohttp import web

from counterfoil.core.credentials import token
from counterfoil.core.refusals import Refusal, ScopeMissing
from counterfoil.core.secret import HEX, SecretShape
from counterfoil_api.auth.credentials import PresentedCredentials
from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.dialects.errors import DialectErrors, message_of
from counterfoil_api.dialects.virtuozzo.methods import PREFIX
from counterfoil_api.http.addresses import client_of
from counterfoil_api.http.errors import CredentialsMissing, CredentialsRepeated, OtpRequired, PasswordNeeded
from counterfoil_api.http.problems import kind_of
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.conventions import Conventions
from counterfoil_api.operations.readers import form_and_query
from counterfoil_api.operations.retries import Retry, by_key

NAME: Final = "virtuozzo"
SHAPE: Final = SecretShape("", HEX, 40)

INVALID_PARAMETER: Final = 3
NOT_FOUND: Final = 5
DENIED: Final = 8
SERVER_ERROR: Final = 99
NO_SESSION: Final = 701
WRONG_PASSWORD: Final = 702
TOKEN_DENIED: Final = 8202
_BY_STATUS: Final[Mapping[int, int]] = MappingProxyType(
    {401: NO_SESSION, 403: DENIED, 404: NOT_FOUND, 408: SERVER_ERROR, 429: SERVER_ERROR}
)


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The beginning of every answer: 0, or the code and the text of an error."""

    result: int = 0
    error: str = ""
    reason: int = 0
    source: str = "counterfoil"


def _error(refusal: Refusal) -> Answer:
    return Answer(result=_code(refusal), error=message_of(refusal))


def _code(refusal: Refusal) -> int:
    if isinstance(refusal, ScopeMissing) and str(refusal.facts.get("scope")).startswith(PREFIX):
        return TOKEN_DENIED
    status, wrong = kind_of(refusal).status, refusal.facts.get("field") == "password"
    if isinstance(refusal, OtpRequired | PasswordNeeded) or (status == 401 and wrong):
        return WRONG_PASSWORD
    return _BY_STATUS.get(status, SERVER_ERROR if status >= 500 else INVALID_PARAMETER)


def _credentials(request: web.Request, raw: bytes) -> PresentedCredentials:
    """Read the parameter `session`: the session of a signin, or a token."""
    given = [each for each in form_and_query(request, raw).get("session", ()) if each]
    if not given:
        raise CredentialsMissing("Send a session or a token as the parameter session.")
    if len(given) > 1:
        raise CredentialsRepeated("Send one session, or one token.")
    return PresentedCredentials(token(given[0]), address=client_of(request), as_owner=True)


def _retry(request: web.Request, raw: bytes) -> Retry | None:
    """Read an Idempotency-Key; a retry has the same parameters, in the query string or in the form."""
    found = by_key(request, raw)
    if found is not None:
        found.request = (request.rel_url.raw_path.encode(), request.rel_url.raw_query_string.encode(), raw)
    return found


api: Final = Api("tokens", Conventions(
    prefix=f"/{NAME}/1.0", credentials=_credentials, retry=_retry, lenient=True,
    error_format=DialectErrors(shape=Answer, document=_error, status=lambda _: 200),
    schemes={"session": {
        "type": "apiKey", "in": "query", "name": "session",
        "description": "The session of a signin, or a token; in a form as well as in the query string.",
    }},
))  # fmt: skip
DIALECT: Final = Dialect(name=NAME, title="Virtuozzo Application Platform", base=f"/{NAME}", api=api, shape=SHAPE)
