"""The OpenAPI 3.1 document, generated from the routes themselves."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import msgspec

from counterfoil_api.operations.api import Route
from counterfoil_api.operations.reading import Source
from counterfoil_api.operations.replies import JSON, REPLAYED, TOKEN_HEADERS
from counterfoil_api.operations.responses import responses_of
from counterfoil_api.operations.schemas import Json, Schemas, parameters_of

More = Callable[[Schemas], Json]
"""Returns paths that are not routes of an `Api`."""

_EXPIRES_AT, _SUNSET, _NUMBER, _REPLACED = TOKEN_HEADERS
_HEADERS: Mapping[str, Json] = MappingProxyType(
    {
        "ETag": {
            "description": "The revision, for If-Match; of a GET also a digest of the document, for "
            "If-None-Match. If-Match compares the revision alone.",
            "schema": {"type": "string", "pattern": '^"[1-9][0-9]{0,15}(-[0-9a-f]{16})?"$'},
            "example": '"3-9c1185a5c5e9fc54"',
        },
        REPLAYED: {
            "description": "`true` if this answer repeats the first one to the same Idempotency-Key, and nothing was "
            "done again; otherwise the header is missing.",
            "schema": {"enum": ["true"]},
        },
        "Location": {"description": "The address of what was created.", "schema": {"type": "string"}},
        "Log-Head": {
            "description": "The last position of the log when this answer began.",
            "schema": {"type": "integer", "minimum": 0},
        },
        "X-Request-Id": {"description": "The id under which this request was logged.", "schema": {"type": "string"}},
        "Retry-After": {"description": "Seconds to wait before the next attempt.", "schema": {"type": "integer"}},
        "RateLimit": {
            "description": "What is left of the caller's quota (r), and the seconds until all of it is available again "
            "(t); only where there is a quota.",
            "schema": {"type": "string"},
            "example": '"principal";r=599;t=60',
        },
        "RateLimit-Policy": {
            "description": "The caller's quota (q), and its window in seconds (w); only where there is a quota.",
            "schema": {"type": "string"},
            "example": '"principal";q=600;w=60',
        },
        _EXPIRES_AT: {
            "description": "When the caller's token ends by itself (RFC 3339, UTC). It is missing if the token never "
            "expires, for passwords, and for bearers in which another token acts.",
            "schema": {"type": "string", "format": "date-time"},
            "example": "2026-12-01T10:00:00Z",
        },
        _SUNSET: {
            "description": "The same moment as an HTTP date, from the token's first notice of expiry on, and always "
            "for a secret that was replaced. It is like Sunset (RFC 8594), but of the token and not of the resource.",
            "schema": {"type": "string"},
            "example": "Tue, 01 Dec 2026 10:00:00 GMT",
        },
        _NUMBER: {
            "description": "The number of the token; only beside Token-Sunset.",
            "schema": {"type": "integer", "minimum": 1},
        },
        _REPLACED: {
            "description": "`true` if a rotation has replaced the presented secret, which ends with its grace.",
            "schema": {"enum": ["true"]},
        },
        "WWW-Authenticate": {
            "description": "The challenge of RFC 6750. A 401 has a line for each accepted scheme: Bearer, and Basic "
            "(RFC 7617).",
            "schema": {"type": "string"},
            "example": 'Bearer realm="counterfoil"',
        },
        "Allow": {"description": "The methods of this path.", "schema": {"type": "string"}},
    }
)


def document(
    routes: Iterable[Route], *, version: str, url: str, title: str = "Counterfoil", more: Iterable[More] = ()
) -> Json:
    """Return the document of these routes and of the paths that `more` adds."""
    routes = tuple(routes)
    schemas = Schemas(routes)
    paths: Json = {}
    schemes = {name: dict(scheme) for route in routes for name, scheme in route.conventions.schemes.items()}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    for each in more:
        paths |= each(schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "summary": "An event-sourced ledger for API tokens.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url}],
        "tags": [{"name": name} for name in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": schemes, "headers": dict(_HEADERS)},
    }


def _operation(route: Route, schemas: Schemas) -> Json:
    operation: Json = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "responses": responses_of(route, schemas),
    }
    description = " ".join(part for part in (route.description, _scope(route)) if part)
    if description:
        operation["description"] = description
    if parameters := parameters_of(route, schemas):
        operation["parameters"] = parameters
    if body := _request_body(route, schemas):
        operation["requestBody"] = body
    if route.reads(Source.CALLER, Source.CREDENTIALS):
        operation["security"] = [{name: []} for name in route.conventions.schemes]
    elif route.reads(Source.OPTIONAL_CREDENTIALS):
        operation["security"] = [{}, *({name: []} for name in route.conventions.schemes)]
    return operation


def _scope(route: Route) -> str:
    if route.scope is None:
        return ""
    own = route.scope.replace("tokens.", "self.", 1)
    alone = f"; a token may hold `{own}` for itself alone" if "{ref}" in route.path and own != "self.create" else ""
    return f"Needs the scope `{route.scope}`{alone}."


def _request_body(route: Route, schemas: Schemas) -> Json | None:
    for parameter in route.parameters:
        if parameter.source in (Source.BODY, Source.FORM):
            content: Json = {"schema": schemas.of(parameter.type)}
            if route.example is not None:
                content["example"] = msgspec.to_builtins(route.example)
            form = parameter.source is Source.FORM
            needed = form or bool(schemas.fields(parameter.type)[1])
            media_type = "application/x-www-form-urlencoded" if form else JSON
            return {"required": needed, "content": {media_type: content}}
    return None
