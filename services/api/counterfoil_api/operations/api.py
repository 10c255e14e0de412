"""Typed handlers as HTTP operations: the signature says what is read, the return type what is answered.

    @api.post("/v1/tokens", refusals=(ScopeMissing,))
    async def create(door: Door, limits: Limits, asker: Asker[Principal], *, body: Body[NewToken]) -> Made[Issued]:

A parameter that is annotated with a plain type receives the service of that type (see `services`). Signatures are
read once, when the application is made; the OpenAPI document is generated from the same result.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import getdoc, signature
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from aiohttp import web

from counterfoil.core.refusals import Forbidden, Refusal, StaleRevision
from counterfoil_api.http.cross_site import refuse_cross_site
from counterfoil_api.http.problems import ERROR_FORMAT, ErrorFormat
from counterfoil_api.http.request_limits import bounds_of, in_time
from counterfoil_api.operations.conventions import PLAIN, Conventions
from counterfoil_api.operations.etags import MATCH, field, refuse_weak, seen
from counterfoil_api.operations.methods import WrongMethods
from counterfoil_api.operations.reading import Parameter, Source, replayed
from counterfoil_api.operations.refusals import Executed, Refusals, refusals_of
from counterfoil_api.operations.replies import NO_STORE, REPLAYED, writer
from counterfoil_api.operations.services import Services
from counterfoil_api.operations.taking import credentials_in, taker

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[object]])
Authenticate = Callable[[Any], Awaitable[object]]
"""From the credentials that an API's reader returned to the caller, or the refusal."""
Note = Callable[[Any, object, Refusal], None]
"""Records that this caller, who presented these credentials, was refused as forbidden."""
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation: how it is reached, what it reads, what it answers."""

    method: str
    path: str
    call: Callable[..., Awaitable[object]]
    parameters: tuple[Parameter, ...]
    services: Mapping[str, type]
    returns: type
    tag: str
    summary: str
    description: str
    refusals: Refusals
    scope: str | None
    asks: object
    answers: object
    cache: str
    longest_body: int | None = None
    patience_seconds: float | None = None
    error_format: ErrorFormat | None = None
    instead_of: tuple[str, ...] = ()
    only_reads: bool = False
    streams: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    conventions: Conventions = PLAIN

    @property
    def changes(self) -> bool:
        """Whether it may change something, so that an answer which never came leaves a doubt."""
        return not self.only_reads

    @property
    def acts_for_somebody(self) -> bool:
        """Whether it may change something with the credentials of a request."""
        return self.changes and self.reads(Source.ASKER, Source.APPROACH, Source.PERHAPS)

    def reads(self, *sources: Source) -> bool:
        """Whether any parameter comes from one of these."""
        return any(parameter.source in sources for parameter in self.parameters)


class Api:
    """The operations of one part of the service, and the conventions that they share."""

    def __init__(self, tag: str, conventions: Conventions = PLAIN) -> None:
        self.tag = tag
        self.conventions = conventions
        self.routes: list[Route] = []

    def get(self, path: str, **told: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `route`
        """An operation that changes nothing."""
        return self.route("GET", path, only_reads=True, **told)

    def post(self, path: str, **told: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `route`
        """An operation that may change something."""
        return self.route("POST", path, **told)

    def patch(self, path: str, **told: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `route`
        """An operation that changes some fields."""
        return self.route("PATCH", path, **told)

    def put(self, path: str, **told: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `route`
        """An operation that changes some fields, or all of them."""
        return self.route("PUT", path, **told)

    def delete(self, path: str, **told: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `route`
        """An operation that ends something."""
        return self.route("DELETE", path, **told)

    def both(self, path: str, **told: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `route`
        """An operation that GET and POST ask for alike, for APIs whose every call is either."""

        def declare(call: Handler) -> Handler:
            self.route("GET", path, **told)(call)
            return self.route("POST", path, **told)(call)

        return declare

    def route(
        self,
        method: str,
        path: str,
        *,
        executes: tuple[Executed, ...] = (),
        refusals: Refusals = (),
        scope: str | None = None,
        asks: object = None,
        answers: object = None,
        cache: str = NO_STORE,
        longest_body: int | None = None,
        patience_seconds: float | None = None,
        error_format: ErrorFormat | None = None,
        instead_of: tuple[str, ...] = (),
        only_reads: bool = False,
        streams: tuple[str, ...] = (),
        headers: tuple[str, ...] = (),
    ) -> Callable[[Handler], Handler]:
        """Declare the decorated handler as an operation; `asks` and `answers` are its examples.

        Its refusals are those of the commands that it `executes`, of its parameters' types, of a missing `scope`, and
        the further `refusals`.
        `longest_body` and `patience_seconds` are for an operation that may read or take more, or less, than others;
        `error_format` for one whose refusals are no problem documents; `instead_of` names what callers may try in its
        place, such as `DELETE /v1/tokens/{ref}`, and is told of this one; `only_reads` is for what changes nothing;
        `streams` are the media types that it may answer with beside JSON, and `headers` those that it
        adds to its answers.
        """

        def declare(call: Handler) -> Handler:
            summary, _, description = (getdoc(call) or "").partition("\n")
            whole = f"{self.conventions.prefix}{path}"
            services, parameters = _signature(call, whole)
            route = Route(
                method=method,
                path=whole,
                call=call,
                parameters=parameters,
                services=services,
                returns=get_type_hints(call, include_extras=True)["return"],
                tag=self.tag,
                summary=summary.rstrip("."),
                description=description.strip(),
                refusals=refusals_of(executes, (each.type for each in parameters), scope, refusals),
                scope=scope,
                asks=asks,
                answers=answers,
                cache=cache,
                longest_body=longest_body,
                patience_seconds=patience_seconds,
                error_format=error_format or self.conventions.error_format,
                conventions=self.conventions,
                only_reads=only_reads,
                instead_of=instead_of,
                streams=streams,
                headers=headers,
            )
            self.routes.append(route)
            return call

        return declare


@dataclass(frozen=True, slots=True)
class Mount:
    """Turns routes into aiohttp handlers, with the services that they work with and the function that authenticates.

    `note` is called when an authenticated caller is refused as forbidden.
    """

    services: Services
    authenticate: Authenticate
    note: Note = lambda *_: None

    def onto(self, app: web.Application, routes: Iterable[Route]) -> None:
        """Add every route to the application."""
        routes = tuple(routes)
        paths = frozenset(route.path for route in routes)
        for route in routes:
            answer, path = self.answer(route), _apart(route.path, paths)
            app.router.add_route(route.method, path, answer)
            if route.method == "GET" and not route.changes:
                app.router.add_route("HEAD", path, answer)
        for each in dict.fromkeys(route.path for route in routes):  # after all of them: it answers whatever they do not
            app.router.add_route("*", _apart(each, paths), WrongMethods(each, routes).answer)

    def answer(self, route: Route) -> Answer:
        """The handler of one route, with nothing left to find out per request."""
        authenticate, note = self.authenticate, self.note
        call = partial(route.call, **{name: self.services.get(kind) for name, kind in route.services.items()})
        conventions = route.conventions
        take = taker(route.parameters, conventions, longest_body=route.longest_body)
        more = route.error_format.headers if route.error_format else {}
        write = writer(route.returns, cache=route.cache, more=more, envelope=conventions.envelope)
        asker = next((each.name for each in route.parameters if each.source is Source.ASKER), None)
        shown = credentials_in(route.parameters)
        retry = next((each.name for each in route.parameters if each.source is Source.IDEMPOTENCY_KEY), "")

        async def answer(request: web.Request) -> web.StreamResponse:
            if route.error_format is not None:
                request[ERROR_FORMAT] = route.error_format
            if route.acts_for_somebody:
                refuse_cross_site(request)
            given, wrong = await take(request)
            changes = route.changes and not getattr(given.get("body"), "dry_run", False)
            seconds = route.patience_seconds or bounds_of(request.app).request_seconds
            async with in_time(seconds, changes=changes and asker is None and wrong is None) as under_way:
                if wrong is not None:
                    if (approach := given.get(shown)) is not None:  # who asks is judged before what they ask
                        await authenticate(approach)
                    raise wrong
                if asker is not None:
                    approach = given[asker]
                    given[asker] = await authenticate(approach)
                    under_way.changes = changes  # nothing was changed before
                try:
                    response = write(await call(**given))
                except Forbidden as refusal:
                    if asker is not None:
                        note(approach, given[asker], refusal)
                    raise
                except StaleRevision:
                    refuse_weak(field(request, MATCH))
                    raise
            if replayed(given.get(retry)):
                response.headers[REPLAYED] = "true"
            return response if route.changes else seen(request, response)

        return answer


def _apart(path: str, paths: frozenset[str]) -> str:
    """The path as aiohttp's router takes it: `/v1/tokens/{ref}` is not the place of `/v1/tokens/import` as well."""
    above, _, last = path.rpartition("/")
    beside = (other.rpartition("/") for other in paths)
    words = sorted(word for place, _, word in beside if place == above and not word.startswith("{"))
    if not words or not last.startswith("{"):
        return path
    return f"{above}/{last.removesuffix('}')}:(?!(?:{'|'.join(words)})$)[^/]+}}"


def _signature(call: Callable[..., object], path: str) -> tuple[Mapping[str, type], tuple[Parameter, ...]]:
    """Return which parameters are services, by name and type, and how the others are read from a request."""
    hints = get_type_hints(call, include_extras=True)
    services: dict[str, type] = {}
    parameters: list[Parameter] = []
    for name in signature(call).parameters:
        if f"{{{name}}}" not in path and isinstance(hints[name], type):
            services[name] = hints[name]
        else:
            parameters.append(_parameter(name, hints[name], path))
    return services, tuple(parameters)


def _parameter(name: str, hint: Any, path: str) -> Parameter:  # noqa: ANN401 - a type form of any shape
    if f"{{{name}}}" in path:
        return Parameter(name, Source.PATH, hint)
    if get_origin(hint) is Annotated:
        inner, source = get_args(hint)[:2]
        if isinstance(source, Source):
            return Parameter(name, source, inner)
    raise TypeError(f"{name} is neither a service, nor a part of {path}, nor annotated with the source it is read from")
