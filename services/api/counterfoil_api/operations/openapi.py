"""The OpenAPI 3.1 document, drawn from the same routes that answer."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType

import msgspec

from counterfoil.core.refusals import (
    Busy,
    CallerChanged,
    CredentialsRefused,
    KeyReused,
    NetworkForbidden,
    OutcomeUnknown,
    Overloaded,
    OwnerDisabled,
    Refusal,
    SecretEnded,
    SecretRetired,
    StaleRevision,
    TokenExpired,
    TokenNetworkForbidden,
    TokenRevoked,
    TokenSuspended,
    UnknownSecret,
)
from counterfoil_api.http import errors
from counterfoil_api.http.problems import KINDS, MEDIA_TYPE, ErrorFormat, Kind, Problem, problem_document
from counterfoil_api.operations.api import Route
from counterfoil_api.operations.reading import Source
from counterfoil_api.operations.replies import JSON, REPLAYED, Nothing, Page, reply_shape
from counterfoil_api.operations.schemas import Json, Schemas, is_conditional, parameters_of

More = Callable[[Schemas], Json]
"""Paths that are no routes of an `Api`."""

_HEADERS: Mapping[str, Json] = MappingProxyType(
    {
        "ETag": {
            "description": "The revision shown, for If-Match; of a GET also a digest of the document, for "
            "If-None-Match. If-Match looks at the revision alone.",
            "schema": {"type": "string", "pattern": '^"[1-9][0-9]{0,15}(-[0-9a-f]{16})?"$'},
            "example": '"3-9c1185a5c5e9fc54"',
        },
        REPLAYED: {
            "description": "`true` where this is the answer that the same Idempotency-Key got before, and nothing was "
            "done again; else the header is missing.",
            "schema": {"enum": ["true"]},
        },
        "Location": {"description": "Where it is now.", "schema": {"type": "string"}},
        "Log-Head": {
            "description": "The last position of the log when this answer began.",
            "schema": {"type": "integer", "minimum": 0},
        },
        "X-Request-Id": {
            "description": "The id under which this request was logged.",
            "schema": {"type": "string"},
        },
        "Retry-After": {
            "description": "Seconds after which another try makes sense.",
            "schema": {"type": "integer"},
        },
        "RateLimit": {
            "description": "What is left of the caller's quota (r), and in how many seconds all of it is there (t); "
            "only where there is one.",
            "schema": {"type": "string"},
            "example": '"principal";r=599;t=60',
        },
        "RateLimit-Policy": {
            "description": "The caller's quota (q), and its window in seconds (w); only where there is one.",
            "schema": {"type": "string"},
            "example": '"principal";q=600;w=60',
        },
        "WWW-Authenticate": {
            "description": "What is missing, as RFC 6750 has it. A 401 has a line for each scheme that is accepted: "
            "Bearer, and Basic (RFC 7617).",
            "schema": {"type": "string"},
            "example": 'Bearer realm="counterfoil"',
        },
        "Allow": {"description": "The methods of this path.", "schema": {"type": "string"}},
    }
)
_ALWAYS: tuple[type[Refusal], ...] = (
    errors.MalformedRequest,
    errors.InvalidRequest,
    errors.CredentialsInQuery,
    errors.ExpectationFailed,
    errors.HeadersTooLarge,
    errors.InternalError,
    errors.MethodNotAllowed,
    errors.RequestTimeout,
    errors.UnsupportedMediaType,
    Overloaded,
)
_AWAY: tuple[type[Refusal], ...] = (Busy, Overloaded)
_ASKING: tuple[type[Refusal], ...] = (
    errors.CredentialsMissing,
    errors.UnknownScheme,
    CredentialsRefused,
    errors.CredentialsRepeated,
    errors.OtpRequired,
    errors.RateLimited,
    *(UnknownSecret, TokenExpired, TokenSuspended, TokenRevoked, SecretRetired, SecretEnded, OwnerDisabled),
    NetworkForbidden,
    TokenNetworkForbidden,
    CallerChanged,
    *_AWAY,
)
_BY_SOURCE: Mapping[Source, tuple[type[Refusal], ...]] = MappingProxyType(
    {
        Source.BODY: (errors.BodyTooLarge,),
        Source.FORM: (errors.BodyTooLarge,),
        Source.ASKER: _ASKING,
        Source.APPROACH: _ASKING,
        Source.PERHAPS: _ASKING[1:],
        Source.ADDRESS: (),
        Source.IF_MATCH: (errors.InvalidPrecondition, errors.WeakTag, StaleRevision),
        Source.IDEMPOTENCY_KEY: (KeyReused,),
        Source.HEADERS: (),
        Source.FIELDS: (errors.BodyTooLarge,),
        Source.PATH: (),
        Source.QUERY: (),
    }
)


def document(
    routes: Iterable[Route], *, version: str, url: str, title: str = "Counterfoil", more: Iterable[More] = ()
) -> Json:
    """The whole document: the routes, and whatever has paths of its own to add."""
    routes = tuple(routes)
    schemas = Schemas(routes)
    paths: Json = {}
    schemes = {name: dict(scheme) for route in routes for name, scheme in route.conventions.schemes.items()}
    answered = Counter(route.call for route in routes)
    for route in routes:
        both = answered[route.call] > 1
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, both=both)
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
        "components": {
            "schemas": schemas.components,
            "securitySchemes": schemes,
            "headers": dict(_HEADERS),
        },
    }


def _operation(route: Route, schemas: Schemas, *, both: bool) -> Json:
    operation: Json = {
        "operationId": route.call.__name__ + ("_by_get" if both and route.method == "GET" else ""),
        "tags": [route.tag],
        "summary": route.summary,
        "responses": _responses(route, schemas),
    }
    description = " ".join(part for part in (route.description, _scope(route)) if part)
    if description:
        operation["description"] = description
    if parameters := parameters_of(route, schemas):
        operation["parameters"] = parameters
    if body := _request_body(route, schemas):
        operation["requestBody"] = body
    if route.reads(Source.ASKER, Source.APPROACH):
        operation["security"] = [{name: []} for name in route.conventions.schemes]
    elif route.reads(Source.PERHAPS):
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
            if route.asks is not None:
                content["example"] = msgspec.to_builtins(route.asks)
            form = parameter.source is Source.FORM
            needed = form or bool(schemas.fields(parameter.type)[1])
            media_type = "application/x-www-form-urlencoded" if form else JSON
            return {"required": needed, "content": {media_type: content}}
    return None


def _responses(route: Route, schemas: Schemas) -> Json:
    own = (each for parameter in route.parameters for each in _BY_SOURCE[parameter.source])
    shape = reply_shape(route.returns, route.conventions.envelope)
    conditional = (errors.InvalidPrecondition,) if is_conditional(route) else ()
    doubt = (OutcomeUnknown,) if route.changes else ()
    site = (errors.CrossSite,) if route.acts_for_somebody else ()
    refusals = (*_ALWAYS, *own, *site, *conditional, *doubt, *route.refusals)
    if route.error_format is None:
        said = refused(refusals, schemas)
    else:
        said = _spelt(route.error_format, refusals, schemas, whole=route.conventions.error_format is not None)
    same = {"304": _same(route)} if is_conditional(route) else {}
    good, reply = str(shape.status), _reply(route, schemas)
    if good in said:  # in an API that refuses with the status of a good answer
        said[good] = _either(reply, said[good])
    return {good: reply} | same | said


def _either(reply: Json, refused: Json) -> Json:
    """A good answer, or a refusal with the same status."""
    contents = {**reply["content"], **refused["content"]}
    for media_type in reply["content"].keys() & refused["content"].keys():
        one, other = reply["content"][media_type], refused["content"][media_type]
        examples = {"good": {"value": one["example"]}} if "example" in one else {}
        schema = {"anyOf": [one["schema"], other["schema"]]}
        contents[media_type] = {"schema": schema, "examples": examples | other["examples"]}
    description = f"{reply['description']}; {refused['description']}"
    return {"description": description, "headers": refused["headers"] | reply["headers"], "content": contents}


def _same(route: Route) -> Json:
    """What a GET answers to somebody who has the document."""
    return {
        "description": "Not changed since the ETag that If-None-Match names; there is no body.",
        "headers": _headers(("ETag", *_limits(route), "X-Request-Id")),
    }


def _spelt(error_format: ErrorFormat, refusals: Iterable[type[Refusal]], schemas: Schemas, *, whole: bool) -> Json:
    """The responses of an operation that says no in its own way.

    What never reaches it is a problem all the same, unless the whole API speaks so.
    """
    said = {} if whole else refused(_ALWAYS, schemas)
    for status, examples in sorted(error_format.shown(refusals).items()):
        shown = {name: {"value": example} for name, example in examples.items()}
        headers = _headers(("WWW-Authenticate", "Retry-After", "X-Request-Id"))
        response = said.setdefault(str(status), {"description": "", "headers": headers, "content": {}})
        response["description"] = "; ".join(filter(None, [response["description"], ", ".join(examples)]))
        response["content"][error_format.media_type] = {"schema": schemas.of(error_format.shape), "examples": shown}
    return said


def refused(refusals: Iterable[type[Refusal]], schemas: Schemas) -> Json:
    """The responses that refusals become, by status."""
    kinds = {KINDS[refusal].name: (KINDS[refusal], refusal) for refusal in refusals}
    by_status: dict[int, list[tuple[Kind, type[Refusal]]]] = {}
    for kind, refusal in kinds.values():
        by_status.setdefault(kind.status, []).append((kind, refusal))
    return {str(status): _refused(by_status[status], schemas) for status in sorted(by_status)}


def _reply(route: Route, schemas: Schemas) -> Json:
    shape = reply_shape(route.returns, route.conventions.envelope)
    content: Json = {"text/plain": {"schema": {"type": "string"}}}
    if shape.body is Nothing:
        content = {}
    elif shape.body is not Page:
        content = {JSON: {"schema": schemas.of(shape.body)}}
        if route.answers is not None:
            content[JSON]["example"] = msgspec.to_builtins(route.answers)
    content |= {media_type: {"schema": {"type": "string"}} for media_type in route.streams}
    return {
        "description": HTTPStatus(shape.status).phrase,
        "headers": _headers((*shape.headers, *route.headers, *_replays(route), *_limits(route), "X-Request-Id")),
        "content": content,
    }


def _limits(route: Route) -> tuple[str, ...]:
    return ("RateLimit", "RateLimit-Policy") if route.reads(Source.ASKER, Source.APPROACH) else ()


def _replays(route: Route) -> tuple[str, ...]:
    return (REPLAYED,) if route.reads(Source.IDEMPOTENCY_KEY) else ()


def _refused(same: list[tuple[Kind, type[Refusal]]], schemas: Schemas) -> Json:
    headers = dict.fromkeys(name for kind, _ in same for name, _ in kind.headers)
    if same[0][0].status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = None
    return {
        "description": "; ".join(f"{kind.title} (`{kind.type}`)" for kind, _ in same),
        "headers": _headers((*headers, "X-Request-Id")),
        "content": {
            MEDIA_TYPE: {
                "schema": schemas.of(Problem),
                "examples": {kind.name: {"value": problem_document(refusal())} for kind, refusal in same},
            }
        },
    }


def _headers(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
