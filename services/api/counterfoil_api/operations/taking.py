"""All that an operation takes from a request, and the first complaint about it.

A complaint does not end the reading: who asks is judged first, also where what they ask cannot be read.
"""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from counterfoil.core.refusals import Refusal
from counterfoil_api.http.bodies import body_of
from counterfoil_api.operations.conventions import Conventions
from counterfoil_api.operations.reading import Parameter, Source, reader, refuse_query

Given = dict[str, object]
Take = Callable[[web.Request], Awaitable[tuple[Given, Refusal | None]]]

_BODY = frozenset({Source.BODY, Source.FORM, Source.FIELDS})
_QUERY = frozenset({Source.QUERY, Source.FIELDS})


def taker(parameters: Sequence[Parameter], conventions: Conventions, *, longest_body: int | None) -> Take:
    """How these parameters are read, with everything that can be prepared already prepared."""
    sources = {parameter.source for parameter in parameters}
    has_body, has_query = bool(sources & _BODY), bool(sources & _QUERY)
    readers = tuple((parameter.name, reader(parameter, conventions)) for parameter in parameters)

    async def take(request: web.Request) -> tuple[Given, Refusal | None]:
        raw, given, wrong = b"", Given(), None
        try:
            raw = await body_of(request, longest=longest_body) if has_body else b""
            if not has_query:
                refuse_query(request, lenient=conventions.lenient)
        except Refusal as refusal:
            wrong = refusal
        for name, read in readers:
            try:
                given[name] = read(request, raw)
            except Refusal as refusal:
                wrong = wrong or refusal
        return given, wrong

    return take


def credentials_in(parameters: Sequence[Parameter]) -> str:
    """Return which parameter shows who asks, "" if none does.

    One that may be absent counts beside a body alone: `/metrics` has a password of its own, which is nobody's token.
    """
    sources = {Source.ASKER, Source.APPROACH}
    if any(parameter.source in _BODY for parameter in parameters):
        sources.add(Source.PERHAPS)
    return next((parameter.name for parameter in parameters if parameter.source in sources), "")
