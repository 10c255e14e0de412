"""Reads all parameters of an operation from a request, and keeps the first refusal.

A refusal does not stop the reading, because the refusal of the caller's credentials precedes all others.
"""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from counterfoil.core.refusals import Refusal
from counterfoil_api.http.bodies import body_of
from counterfoil_api.operations.conventions import Conventions
from counterfoil_api.operations.readers import reader, refuse_query
from counterfoil_api.operations.reading import Parameter, Source

Given = dict[str, object]
Take = Callable[[web.Request], Awaitable[tuple[Given, Refusal | None]]]

_BODY = frozenset({Source.BODY, Source.FORM, Source.FIELDS})
_QUERY = frozenset({Source.QUERY, Source.FIELDS})


def taker(parameters: Sequence[Parameter], conventions: Conventions, *, longest_body: int | None) -> Take:
    """Return the function that reads these parameters, with everything prepared that is the same for all requests."""
    sources = {parameter.source for parameter in parameters}
    has_body, has_query = bool(sources & _BODY), bool(sources & _QUERY)
    readers = tuple((parameter.name, reader(parameter, conventions)) for parameter in parameters)

    async def take(request: web.Request) -> tuple[Given, Refusal | None]:
        body, given, first_refusal = b"", Given(), None
        try:
            body = await body_of(request, longest=longest_body) if has_body else b""
            if not has_query:
                refuse_query(request, lenient=conventions.lenient)
        except Refusal as refusal:
            first_refusal = refusal
        for name, read in readers:
            try:
                given[name] = read(request, body)
            except Refusal as refusal:
                first_refusal = first_refusal or refusal
        return given, first_refusal

    return take


def credentials_in(parameters: Sequence[Parameter]) -> str:
    """Return the name of the parameter that holds a request's credentials, "" if there is none.

    Optional credentials count only beside a body: those of `/metrics` are a password that belongs to no token.
    """
    sources = {Source.CALLER, Source.CREDENTIALS}
    if any(parameter.source in _BODY for parameter in parameters):
        sources.add(Source.OPTIONAL_CREDENTIALS)
    return next((parameter.name for parameter in parameters if parameter.source in sources), "")
