"""How one API uses HTTP: its prefix, its error format, its success envelope and its credentials."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from counterfoil_api.http.errors import CredentialsMissing
from counterfoil_api.http.problems import ErrorFormat
from counterfoil_api.operations.retries import Retry, by_key

Credentials = Callable[[web.Request, bytes], object]
"""Reads a caller's credentials from a request and its body; raises CredentialsMissing where the request has none."""
Retries = Callable[[web.Request, bytes], Retry | None]
"""Reads what marks a request as the repeat of an earlier one."""


def no_credentials(_request: web.Request, _body: bytes) -> object:
    """Refuse every caller: the API accepts no credentials."""
    raise CredentialsMissing


def first_of(*readers: Credentials) -> Credentials:
    """Read the credentials of the first reader that finds its own in the request."""

    def read(request: web.Request, body: bytes) -> object:
        for reader in readers[:-1]:
            try:
                return reader(request, body)
            except CredentialsMissing:
                continue
        return readers[-1](request, body)

    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Conventions:
    """The conventions of one API.

    `prefix` precedes each of its paths. `error_format` is the form of its refusals; None means problem documents.
    `envelope` is a generic struct whose field `result` holds what a handler returns. `credentials` reads a caller's
    credentials; `schemes` describe them in the OpenAPI document. `lenient` ignores unknown query parameters;
    `any_media_type` reads a JSON body whatever its Content-Type is.
    """

    prefix: str = ""
    error_format: ErrorFormat | None = None
    envelope: type | None = None
    credentials: Credentials = no_credentials
    retry: Retries = by_key
    lenient: bool = False
    any_media_type: bool = False
    schemes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


PLAIN = Conventions()
"""Problem documents, and no credentials."""


def error_format_under(apis: Iterable[Conventions]) -> Callable[[str], ErrorFormat | None]:
    """Return the function from a path to its error format: all paths below the first part of an API's prefix share it.

    So a path or a method that the API does not have is refused in its format as well.
    """
    by_root = {_root(each.prefix): each.error_format for each in apis if each.prefix}
    return lambda path: by_root.get(_root(path))


def _root(path: str) -> str:
    return path[1:].partition("/")[0]
