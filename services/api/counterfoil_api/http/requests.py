"""The outermost layer: every request gets an id, one log line, and a problem document if it is refused."""

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
from counterfoil_api.http.errors import BodyTooLarge, ExpectationFailed, InternalError, MethodNotAllowed, NoSuchPath
from counterfoil_api.http.problems import ERROR_FORMAT, ErrorFormat, arranged, kind_of, problem
from counterfoil_api.http.security_headers import SEAL

log = structlog.get_logger()

UNROUTED = "(none)"

Observe = Callable[[str, str, int, float, str | None], None]
Client = Callable[[web.Request], Address | None]
ErrorFormatOf = Callable[[str], ErrorFormat | None]
"""How refusals are spelt under a path, where they are no problem documents."""


def sealed(response: web.StreamResponse, identity: str) -> None:
    """The headers that every response carries."""
    headers = response.headers
    headers["X-Request-Id"] = identity
    headers.update(SEAL)


def edge(observe: Observe, client: Client = client_of, error_format_of: ErrorFormatOf = lambda _: None) -> Middleware:
    """The layer, telling `observe` (method, route, status, seconds, problem) of every answer.

    Everything inside finds the address of who asks, as `client` believes it, under `CLIENT`.
    """

    @web.middleware
    async def layer(request: web.Request, handler: Handler) -> web.StreamResponse:
        started, refused = perf_counter(), None
        identity = request_id(request.headers.get("X-Request-Id"))
        structlog.contextvars.bind_contextvars(request_id=identity)
        request[CLIENT] = client(request)
        added_headers.begin()
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - this is the edge; nothing may rise past it
            response, refused = refused_response(error, request.get(ERROR_FORMAT) or error_format_of(request.path))
            challenged(response, request)
        sealed(response, identity)
        response.headers.update(added_headers.added())
        if request.body_exists and not request.content.is_eof():
            # What was announced may never come (a proxy asks without the body, but with its length): whatever comes
            # next on this connection must not be taken for a part of it, nor a part of it for a request.
            response.force_close()
        seconds, route, status = perf_counter() - started, route_of(request), response.status
        observe(request.method, route, status, seconds, refused)
        told = {"problem": refused} if refused else {}
        log.info("request", method=request.method, route=route, status=status, ms=round(seconds * 1e3, 2), **told)
        return response

    return layer


def challenged(response: web.Response, request: web.Request) -> None:
    """Challenge whoever was refused in the scheme that they used, before all others (RFC 9110 11.6.1)."""
    if response.status != 401:
        return
    scheme = request.headers.get("Authorization", "").partition(" ")[0].lower()
    offered = response.headers.popall("WWW-Authenticate", [])
    response.headers.extend(("WWW-Authenticate", each) for each in arranged(offered, scheme))


def refused_response(error: Exception, error_format: ErrorFormat | None = None) -> tuple[web.Response, str]:
    """The problem document of an exception, or how else it is spelt, and the name of that problem."""
    refusal = refusal_of(error)
    if error_format is None:
        return problem(refusal), kind_of(refusal).name
    if type(refusal) is NoSuchPath:  # whose own words name our document
        refusal = NoSuchPath("No resource has this path; the OpenAPI document of this API lists its paths.")
    response = error_format.response(refusal)
    return response, kind_of(refusal).name


def route_of(request: web.Request) -> str:
    """The template of the path, never the path: paths are typed by strangers."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNROUTED


def refusal_of(error: Exception) -> Refusal:
    """What is answered to an exception; one that is no answer is logged here, and only here."""
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
    if isinstance(error, OUTDATED):  # again and again: somebody is changing the schema all the time
        log.warning("schema_changes", error=type(error).__name__)
        return Overloaded()
    log.error("request_failed", exc_info=error)
    return InternalError()
