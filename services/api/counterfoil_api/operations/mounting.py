"""From declared operations to the handlers of an aiohttp application."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from aiohttp import web

from counterfoil.core.refusals import Forbidden, Refusal, StaleRevision
from counterfoil_api.http.cross_site import refuse_cross_site
from counterfoil_api.http.problems import ERROR_FORMAT
from counterfoil_api.http.request_limits import bounds_of, in_time
from counterfoil_api.operations.api import Route
from counterfoil_api.operations.etags import MATCH, field, refuse_weak, with_etag
from counterfoil_api.operations.methods import WrongMethods
from counterfoil_api.operations.reading import Source, replayed
from counterfoil_api.operations.replies import REPLAYED, writer
from counterfoil_api.operations.services import Services
from counterfoil_api.operations.taking import credentials_in, taker

Authenticate = Callable[[Any], Awaitable[object]]
"""From the credentials that an API's reader returned to the caller, or the refusal."""
Note = Callable[[Any, object, Refusal], None]
"""Records that this caller, who presented these credentials, was refused as forbidden."""
Need = Callable[[Any, str], None]
"""Refuses a caller without a scope."""
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def no_scopes(_caller: object, scope: str) -> NoReturn:
    """Refuse every caller: without a function that knows scopes, nobody may call what needs one."""
    raise LookupError(f"nothing checks the scope {scope}")


@dataclass(frozen=True, slots=True)
class Mount:
    """Turns routes into aiohttp handlers, with the services that they work with and the function that authenticates.

    `note` is called when an authenticated caller is refused as forbidden, `need` for a caller of a route that needs a
    scope.
    """

    services: Services
    authenticate: Authenticate
    note: Note = lambda *_: None
    need: Need = no_scopes

    def onto(self, app: web.Application, routes: Iterable[Route]) -> None:
        """Add every route to the application."""
        routes = tuple(routes)
        paths = frozenset(route.path for route in routes)
        for route in routes:
            answer, path = self.answer(route), _pattern(route.path, paths)
            app.router.add_route(route.method, path, answer)
            if route.method == "GET" and not route.changes:
                app.router.add_route("HEAD", path, answer)
        for each in dict.fromkeys(route.path for route in routes):  # last: it answers the methods that no route has
            app.router.add_route("*", _pattern(each, paths), WrongMethods(each, routes).answer)

    def answer(self, route: Route) -> Answer:
        """Return the aiohttp handler of one route; everything that is the same for all requests is prepared."""
        authenticate, call = self.authenticate, self._caller_of(route)
        take = taker(route.parameters, route.conventions, longest_body=route.longest_body)
        more = route.error_format.headers if route.error_format else {}
        write = writer(route.returns, cache=route.cache, more=more, envelope=route.conventions.envelope)
        caller, retry = route.parameter_from(Source.CALLER), route.parameter_from(Source.IDEMPOTENCY_KEY)
        presented = credentials_in(route.parameters)

        async def answer(request: web.Request) -> web.StreamResponse:
            if route.error_format is not None:
                request[ERROR_FORMAT] = route.error_format
            if route.changes_for_a_caller:
                refuse_cross_site(request)
            given, refusal = await take(request)
            changes = route.changes and not getattr(given.get("body"), "dry_run", False)
            seconds = route.patience_seconds or bounds_of(request.app).request_seconds
            async with in_time(seconds, changes=changes and not caller and refusal is None) as progress:
                if refusal is not None:
                    if (credentials := given.get(presented)) is not None:  # their refusal precedes that of the request
                        await authenticate(credentials)
                    raise refusal
                credentials = given.get(caller)
                if caller:
                    given[caller] = await authenticate(credentials)
                    progress.may_have_changed = changes  # authentication itself changes nothing
                response = write(await call(request, credentials, given))
            if replayed(given.get(retry)):
                response.headers[REPLAYED] = "true"
            return response if route.changes else with_etag(request, response)

        return answer

    def _caller_of(self, route: Route) -> Callable[[web.Request, object, dict[str, object]], Awaitable[object]]:
        """Return the function that calls the handler with its services, and reports certain refusals."""
        handler = partial(route.call, **{name: self.services.get(kind) for name, kind in route.services.items()})
        caller, note, need = route.parameter_from(Source.CALLER), self.note, self.need

        async def call(request: web.Request, credentials: object, given: dict[str, object]) -> object:
            try:
                if route.needs is not None:
                    need(given[caller], route.needs)
                return await handler(**given)
            except Forbidden as refusal:
                if caller:
                    note(credentials, given[caller], refusal)
                raise
            except StaleRevision:
                refuse_weak(field(request, MATCH))
                raise

        return call


def _pattern(path: str, paths: frozenset[str]) -> str:
    """Return the path for aiohttp's router, in which `/v1/tokens/{ref}` does not match `/v1/tokens/import`."""
    above, _, last = path.rpartition("/")
    others = (other.rpartition("/") for other in paths)
    words = sorted(word for place, _, word in others if place == above and not word.startswith("{"))
    if not words or not last.startswith("{"):
        return path
    return f"{above}/{last.removesuffix('}')}:(?!(?:{'|'.join(words)})$)[^/]+}}"
