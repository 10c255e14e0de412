"""The conventions of Losant's API: https://docs.losant.com/rest-api/application-api-tokens."""

from typing import Final

import msgspec
from aiohttp import web

from counterfoil.core import refusals
from counterfoil.core.refusals import Refusal
from counterfoil_api.auth.credentials import PasswordGiven, PresentedCredentials, presented_by
from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.dialects.errors import DialectErrors, message_of
from counterfoil_api.http import errors
from counterfoil_api.http.problems import kind_of
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.conventions import Conventions

NAME: Final = "losant"
_TYPES: Final = {
    400: "Validation",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    413: "PayloadTooLarge",
    429: "RateLimit",
}


class LosantError(msgspec.Struct, frozen=True, kw_only=True):
    """An error: its type and its text."""

    type: str
    message: str


def _status(refusal: Refusal) -> int:
    """Return the HTTP status; every error in a readable request is a 400."""
    status = kind_of(refusal).status
    return 400 if status == 422 else status


def _error(refusal: Refusal) -> LosantError:
    status, message = _status(refusal), message_of(refusal)
    if type(refusal) is refusals.NotFound and refusal.detail == refusals.NotFound.__doc__:
        message = "API Token was not found"
    if isinstance(refusal, errors.OtpRequired):
        message = "Two-factor authentication code required; send it as twoFactorCode."
    return LosantError(type=_TYPES.get(status) or ("Internal" if status >= 500 else "Validation"), message=message)


def _credentials(request: web.Request, _: bytes) -> PresentedCredentials:
    presented = presented_by(request)
    if isinstance(presented.credentials, PasswordGiven):
        raise refusals.CredentialsRefused("A password is accepted at /auth/user only; send the token that it returns.")
    return PresentedCredentials(presented.credentials, address=presented.address, as_owner=True)


api: Final = Api("tokens", Conventions(
    prefix=f"/{NAME}", credentials=_credentials, lenient=True,
    error_format=DialectErrors(shape=LosantError, document=_error, status=_status),
    schemes={"token": {"type": "http", "scheme": "bearer", "description": "An API token, or the token of a login."}},
))  # fmt: skip
DIALECT: Final = Dialect(name=NAME, title="Losant", base=f"/{NAME}", api=api)
