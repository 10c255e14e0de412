"""The conventions of Canvus' API: its refusals, and the header with the credentials."""

from typing import Final

import msgspec
from aiohttp import web

from counterfoil.core.credentials import token
from counterfoil.core.refusals import OutcomeUnknown, Refusal
from counterfoil.core.secret import URL_SAFE, SecretShape
from counterfoil_api.auth.credentials import PresentedCredentials
from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.dialects.errors import DialectErrors, message_of
from counterfoil_api.http.addresses import client_of
from counterfoil_api.http.errors import CredentialsMissing, CredentialsRepeated
from counterfoil_api.http.problems import kind_of
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.conventions import Conventions

NAME: Final = "canvus"
SHAPE: Final = SecretShape("", URL_SAFE, 43)
HEADER: Final = "Private-Token"


class CanvusError(msgspec.Struct, frozen=True, kw_only=True):
    """An error, under both names that clients read."""

    msg: str
    message: str


def _status(refusal: Refusal) -> int:
    """Return the status: never 422, and 409 for an unknown outcome, because clients do not repeat it."""
    status = 409 if isinstance(refusal, OutcomeUnknown) else kind_of(refusal).status
    return 400 if status == 422 else status


def _error(refusal: Refusal) -> CanvusError:
    match _status(refusal):
        case 401:
            return CanvusError(msg=message_of(refusal), message="401 Unauthorized")
        case 403:
            return CanvusError(msg="Permission denied", message=message_of(refusal))
    return CanvusError(msg=message_of(refusal), message=message_of(refusal))


def _credentials(request: web.Request, _: bytes) -> PresentedCredentials:
    given = request.headers.getall(HEADER, ())
    if not given:
        raise CredentialsMissing(f"Send an access token in the header {HEADER}.")
    if len(given) > 1:
        raise CredentialsRepeated(f"Send one {HEADER} header, not several.")
    return PresentedCredentials(token(given[0].strip()), address=client_of(request), as_owner=True)


api: Final = Api("tokens", Conventions(
    prefix=f"/{NAME}/api/v1", credentials=_credentials, lenient=True, any_media_type=True,
    error_format=DialectErrors(shape=CanvusError, document=_error, status=_status),
    schemes={"token": {"type": "apiKey", "in": "header", "name": HEADER, "description": "An access token."}},
))  # fmt: skip
DIALECT: Final = Dialect(name=NAME, title="Canvus", base=f"/{NAME}", api=api, shape=SHAPE)
