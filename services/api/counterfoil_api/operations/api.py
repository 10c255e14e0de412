"""Typed handlers as HTTP operations: a handler's signature states its request, its return type states its answer.

    @api.post("/v1/tokens", executes=(Create,), scope="tokens.create")
    async def create(door: Door, caller: Caller[Principal], *, body: Body[NewToken]) -> Made[Issued]:

A parameter that is annotated with a plain type receives the service of that type (see `services`). Signatures are
read once, when the module is imported; the OpenAPI document is generated from the same result.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from inspect import getdoc, signature
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from counterfoil_api.http.problems import ErrorFormat
from counterfoil_api.operations.conventions import PLAIN, Conventions
from counterfoil_api.operations.reading import CREDENTIALS, Parameter, Source
from counterfoil_api.operations.refusals import Executed, Refusals, refusals_of
from counterfoil_api.operations.replies import NO_STORE

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[object]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation: its method and path, its parameters, and its answers.

    `example` and `example_reply` are examples of a request and of an answer. `longest_body` and `patience_seconds`
    replace the limits that all operations share, `error_format` that of the API. A caller who tries an operation of
    `instead_of`, such as `DELETE /v1/tokens/{ref}`, is pointed to this one. `streams` are further media types of the
    answer, `headers` further headers.
    """

    method: str
    path: str
    name: str
    call: Callable[..., Awaitable[object]]
    parameters: tuple[Parameter, ...]
    services: Mapping[str, type]
    returns: type
    tag: str
    summary: str
    description: str
    refusals: Refusals
    conventions: Conventions
    error_format: ErrorFormat | None
    needs: str | None
    scope: str | None
    example: object = None
    example_reply: object = None
    cache: str = NO_STORE
    longest_body: int | None = None
    patience_seconds: float | None = None
    instead_of: tuple[str, ...] = ()
    only_reads: bool = False
    streams: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether it may change something: if its answer is lost, the caller cannot know the outcome."""
        return not self.only_reads

    @property
    def changes_for_a_caller(self) -> bool:
        """Whether it may change something with the credentials of a request."""
        return self.changes and self.reads(*CREDENTIALS)

    def reads(self, *sources: Source) -> bool:
        """Return whether any parameter comes from one of these sources."""
        return any(parameter.source in sources for parameter in self.parameters)

    def parameter_from(self, source: Source) -> str:
        """Return the name of the parameter that comes from this source, "" if there is none."""
        return next((each.name for each in self.parameters if each.source is source), "")


class Api:
    """Some operations of the service with one tag and the same conventions."""

    def __init__(self, tag: str, conventions: Conventions = PLAIN) -> None:
        self.tag = tag
        self.conventions = conventions
        self.routes: list[Route] = []

    def route(
        self,
        method: str,
        path: str,
        *,
        name: str | None = None,
        executes: tuple[Executed, ...] = (),
        refusals: Refusals = (),
        needs: str | None = None,
        scope: str | None = None,
        error_format: ErrorFormat | None = None,
        **options: Any,  # noqa: ANN401 - they are checked against the fields of Route when the module is imported
    ) -> Callable[[Handler], Handler]:
        """Declare the decorated handler as an operation, by its own name unless another `name` is given.

        A caller without the scope that it `needs` is refused before the handler is called. `scope` is one that the
        handler checks itself, because some callers need another. Its refusals are those of the commands that it
        `executes`, of its parameters' types, of a missing scope, and the further `refusals`. The other options are
        fields of `Route`.
        """

        def declare(call: Handler) -> Handler:
            summary, _, description = (getdoc(call) or "").partition("\n")
            whole = f"{self.conventions.prefix}{path}"
            services, parameters = _signature(call, whole)
            route = Route(
                method=method,
                path=whole,
                name=name or call.__name__,
                call=call,
                parameters=parameters,
                services=services,
                returns=get_type_hints(call, include_extras=True)["return"],
                tag=self.tag,
                summary=summary.rstrip("."),
                description=description.strip(),
                refusals=refusals_of(executes, (each.type for each in parameters), needs or scope, refusals),
                needs=needs,
                scope=needs or scope,
                error_format=error_format or self.conventions.error_format,
                conventions=self.conventions,
                **options,
            )
            self.routes.append(route)
            return call

        return declare

    def get(self, path: str, **options: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `route`
        return self.route("GET", path, only_reads=True, **options)

    def post(self, path: str, **options: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `route`
        return self.route("POST", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `route`
        return self.route("PATCH", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `route`
        return self.route("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `route`
        return self.route("DELETE", path, **options)

    def both(self, path: str, **options: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `route`
        """Declare an operation that is called by GET and by POST alike."""

        def declare(call: Handler) -> Handler:
            self.route("GET", path, name=f"{call.__name__}_by_get", **options)(call)
            return self.route("POST", path, **options)(call)

        return declare


def _signature(call: Callable[..., object], path: str) -> tuple[Mapping[str, type], tuple[Parameter, ...]]:
    """Return which parameters are services, by name and type, and how the others are read from a request.

    A handler with several paths gives a default to what only some of them contain.
    """
    hints = get_type_hints(call, include_extras=True)
    services: dict[str, type] = {}
    parameters: list[Parameter] = []
    for name, declared in signature(call).parameters.items():
        hint, source = hints[name], _source(hints[name])
        if f"{{{name}}}" in path:
            parameters.append(Parameter(name, Source.PATH, hint))
        elif source is not None:
            parameters.append(Parameter(name, source, get_args(hint)[0]))
        elif isinstance(hint, type):
            services[name] = hint
        elif declared.default is declared.empty:
            raise TypeError(f"{name} is neither a service, nor a part of {path}, nor annotated with its source")
    return services, tuple(parameters)


def _source(hint: Any) -> Source | None:  # noqa: ANN401 - a type form of any shape
    source = get_args(hint)[1] if get_origin(hint) is Annotated else None
    return source if isinstance(source, Source) else None
