"""The outermost layer: every request gets an id, one log line, and an answer in the right format if it is refused."""

from collections.abc import Callable
from time import perf_counter

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from counterfoil.core.refusals import Overloaded, Refusal
from counterfoil.logging import request_id
from counterfoil.postgres.connection import LOST
from counterfoil.postgres.schema_changes import OUTDATED
from counterfoil_api.http import added_headers
from counterfoil_api.http.addresses import CLIENT, Address, client_of
from counterfoil_api.http.challenges import arranged
from counterfoil_api.http.errors import BodyTooLarge, ExpectationFailed, InternalError, MethodNotAllowed, NoSuchPath
from counterfoil_api.http.problems import ERROR_FORMAT, ErrorFormat, kind_of, problem
from counterfoil_api.http.security_headers import add_security_headers

log = structlog.get_logger()

UNROUTED = "(none)"

Observe = Callable[[str, str, int, float, str | None], None]
Client = Callable[[web.Request], Address | None]
ErrorFormatOf = Callable[[str], ErrorFormat | None]
"""From a path to the format of refusals under it; None means problem documents."""


def add_common_headers(response: web.StreamResponse, identity: str) -> None:
    """Add the headers that every answer carries."""
    response.headers["X-Request-Id"] = identity
    add_security_headers(response)


def outer_layer(
    observe: Observe, client: Client = client_of, error_format_of: ErrorFormatOf = lambda _: None
) -> Middleware:
    """Return the layer. It calls `observe` with method, route, status, seconds and problem of every answer.

    Everything inside finds the caller's address under `CLIENT`, as `client` determines it.
    """

    @web.middleware
    async def layer(request: web.Request, handler: Handler) -> web.StreamResponse:
        started, problem_name = perf_counter(), None
        identity = request_id(request.headers.get("X-Request-Id"))
        structlog.contextvars.bind_contextvars(request_id=identity)
        request[CLIENT] = client(request)
        added_headers.begin()
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - this is the edge; nothing may rise past it
            response, problem_name = refused_response(error, request.get(ERROR_FORMAT) or error_format_of(request.path))
            arrange_challenges(response, request)
        add_common_headers(response, identity)
        response.headers.update(added_headers.added())
        if request.body_exists and not request.content.is_eof():
            # The announced body may never arrive: a proxy may forward its length without it. The connection is closed,
            # so that what arrives next is not taken for a part of this body, nor a part of it for a request.
            response.force_close()
        seconds, route, status = perf_counter() - started, route_of(request), response.status
        observe(request.method, route, status, seconds, problem_name)
        facts = {"problem": problem_name} if problem_name else {}
        log.info("request", method=request.method, route=route, status=status, ms=round(seconds * 1e3, 2), **facts)
        return response

    return layer


def arrange_challenges(response: web.Response, request: web.Request) -> None:
    """Put the challenge of a 401 for the scheme that the caller used before all others (RFC 9110 11.6.1)."""
    if response.status != 401:
        return
    scheme = request.headers.get("Authorization", "").partition(" ")[0].lower()
    offered = response.headers.popall("WWW-Authenticate", [])
    response.headers.extend(("WWW-Authenticate", each) for each in arranged(offered, scheme))


def refused_response(error: Exception, error_format: ErrorFormat | None = None) -> tuple[web.Response, str]:
    """Return the answer to an exception, a problem document or in this format, and the name of the problem."""
    refusal = refusal_of(error)
    if error_format is None:
        return problem(refusal), kind_of(refusal).name
    if type(refusal) is NoSuchPath:  # its own words name the document of the native API
        refusal = NoSuchPath("No resource has this path; the OpenAPI document of this API lists its paths.")
    return error_format.response(refusal), kind_of(refusal).name


def route_of(request: web.Request) -> str:
    """Return the template of the path; the path itself is never logged, since it can hold anything."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNROUTED


def refusal_of(error: Exception) -> Refusal:
    """Return the refusal that answers an exception; a bug is logged here, and only here."""
    match error:
        case Refusal():
            return error
        case web.HTTPNotFound():
            return NoSuchPath()
        case web.HTTPMethodNotAllowed():
            return MethodNotAllowed(allow=error.headers["Allow"])
        case web.HTTPRequestEntityTooLarge():
            return BodyTooLarge()
        case web.HTTPExpectationFailed():
            return ExpectationFailed()
    if isinstance(error, LOST) and not isinstance(error, ValueError):
        log.warning("database_away", error=type(error).__name__)
        return Overloaded()
    if isinstance(error, OUTDATED):  # several times in a row: the schema keeps changing
        log.warning("schema_changes", error=type(error).__name__)
        return Overloaded()
    log.error("request_failed", exc_info=error)
    return InternalError()
