"""Cloudflare's error documents, with the codes whose meaning is known; its clients go by the HTTP status."""

from typing import Final

import msgspec

from counterfoil.core.refusals import Conflict, NotFound, Refusal
from counterfoil_api.dialects.errors import DialectErrors, message_of
from counterfoil_api.http import errors
from counterfoil_api.http.problems import kind_of

DOCUMENTATION: Final = "/cloudflare/openapi.json"
_HEADERS: Final = (
    errors.UnknownScheme,
    errors.CredentialsRepeated,
    errors.CredentialsInQuery,
    errors.HeadersTooLarge,
)
_CALLED: Final = {
    **dict.fromkeys(("expires_at", "lifetime"), "duration"),
    **dict.fromkeys(("previous_until", "grace"), "previous_client_secret_expires_at"),
}
"""The vendor's names of our fields."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON pointer to the wrong part of the request."""

    pointer: str


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The cause of an error."""

    code: int
    message: str


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error or a hint."""

    code: int
    documentation_url: str | None = None
    message: str
    source: Source | None = None
    error_chain: tuple[Cause, ...] = ()


_MALFORMED: Final = (Cause(code=6111, message="Invalid format for Authorization header"),)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Every refusal."""

    errors: tuple[Message, ...]
    messages: tuple[Message, ...] = ()
    result: dict[str, str] = {}
    success: bool = False


def _status(refusal: Refusal) -> int:
    """Return the HTTP status. Clients would repeat a 409, so conflicts are 400, like all invalid requests."""
    status = kind_of(refusal).status
    return 400 if status in (409, 422) or isinstance(refusal, errors.UnknownScheme) else status


def _failure(refusal: Refusal) -> Failure:
    code, message = _code(refusal, _status(refusal))
    field = refusal.facts.get("field")
    error = Message(
        code=code,
        message=message,
        documentation_url=DOCUMENTATION,
        source=Source(pointer=_pointer(field)) if isinstance(field, str) else None,
        error_chain=_MALFORMED if isinstance(refusal, errors.UnknownScheme) else (),
    )
    return Failure(errors=(error,))


def _pointer(field: str) -> str:
    return "/" + _CALLED.get(field, field).replace(".", "/")


def _code(refusal: Refusal, status: int) -> tuple[int, str]:
    words = message_of(refusal)
    match refusal:
        case NotFound():
            return 12130, "access.api.error.service_token_not_found"
        case errors.NoSuchPath():
            return 7003, "Could not route to this path, perhaps your object identifier is invalid?"
        case errors.MethodNotAllowed():
            return 7001, "This method is not available for that URI."
        case Conflict():
            return 12130, f"access.api.error.invalid_request: {words}"
    if isinstance(refusal, _HEADERS):
        return 6003, "Invalid request headers"
    match status:
        case 401:
            return 10000, f"Authentication error: {words}"
        case 403:
            return 9109, f"Unauthorized to access requested resource: {words}"
        case 429:
            return 971, f"Please wait and consider throttling your request speed: {words}"
    return (10001, words) if status >= 500 else (12130, f"access.api.error.invalid_request: {words}")


ERRORS: Final = DialectErrors(shape=Failure, document=_failure, status=_status)
