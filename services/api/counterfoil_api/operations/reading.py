"""The sources that a handler's parameters are read from, and the annotations that name them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Final, TypeVar

from aiohttp import web
from msgspec import Meta

from counterfoil.core.bounds import Address
from counterfoil_api.operations.retries import Retry


class Source(Enum):
    """Where a parameter comes from."""

    BODY = "body"
    FORM = "form"
    QUERY = "query"
    PATH = "path"
    CALLER = "caller"
    CREDENTIALS = "credentials"
    OPTIONAL_CREDENTIALS = "optional credentials"
    ADDRESS = "address"
    IF_MATCH = "If-Match"
    IDEMPOTENCY_KEY = "Idempotency-Key"
    HEADERS = "headers"
    FIELDS = "fields"


CREDENTIALS: Final = (Source.CALLER, Source.CREDENTIALS, Source.OPTIONAL_CREDENTIALS)
"""The sources that are a request's credentials, authenticated or not."""

T = TypeVar("T")
Body = Annotated[T, Source.BODY]
Form = Annotated[T, Source.FORM]
Query = Annotated[T, Source.QUERY]
Caller = Annotated[T, Source.CALLER]
"""The caller, authenticated."""
Presented = Annotated[T, Source.CREDENTIALS]
"""The credentials of the request, not authenticated yet."""
OptionalCredentials = Annotated[T | None, Source.OPTIONAL_CREDENTIALS]
"""The same, or None where the request has none."""
ClientAddress = Annotated[Address | None, Source.ADDRESS]
IfMatch = Annotated[frozenset[int] | None, Source.IF_MATCH]
IdempotencyKey = Annotated[Retry | None, Source.IDEMPOTENCY_KEY]
Headers = Annotated[T, Source.HEADERS]
"""Headers of the request as the text fields of a struct, each empty where the header is missing."""
Fields = Annotated[T, Source.FIELDS]
"""The parameters of the query string and of a form body together; either may hold a secret. A dict has all of each."""

Read = Callable[[web.Request, bytes], object]
"""Reads one parameter from a request and the bytes of its body."""


def path_type(description: str, pattern: str, example: str) -> Meta:
    """Describe a part of a path by its words, its pattern and an example; the handler looks up what it names."""
    return Meta(description=description, examples=[example], extra_json_schema={"pattern": pattern})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler: its name, its source, and its type."""

    name: str
    source: Source
    type: type


def replayed(given: object) -> bool:
    """Return whether this is a Retry that repeated an earlier answer."""
    return isinstance(given, Retry) and given.replayed
