"""The responses of an operation in its OpenAPI document: its answer, and its refusals by status."""

from collections.abc import Iterable, Mapping
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
from counterfoil_api.operations.replies import JSON, REPLAYED, TOKEN_HEADERS, Nothing, Page, reply_shape
from counterfoil_api.operations.schemas import Json, Schemas, is_conditional

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
DEAD_CREDENTIALS: tuple[type[Refusal], ...] = (
    UnknownSecret, TokenExpired, TokenSuspended, TokenRevoked, SecretRetired, SecretEnded, OwnerDisabled,
)  # fmt: skip
_CALLING: tuple[type[Refusal], ...] = (
    errors.CredentialsMissing,
    errors.UnknownScheme,
    CredentialsRefused,
    errors.CredentialsRepeated,
    errors.OtpRequired,
    errors.RateLimited,
    *DEAD_CREDENTIALS,
    NetworkForbidden,
    TokenNetworkForbidden,
    CallerChanged,
    Busy,
    Overloaded,
)
_BY_SOURCE: Mapping[Source, tuple[type[Refusal], ...]] = MappingProxyType(
    {
        Source.BODY: (errors.BodyTooLarge,),
        Source.FORM: (errors.BodyTooLarge,),
        Source.CALLER: _CALLING,
        Source.CREDENTIALS: _CALLING,
        Source.OPTIONAL_CREDENTIALS: _CALLING[1:],
        Source.IF_MATCH: (errors.InvalidPrecondition, errors.WeakTag, StaleRevision),
        Source.IDEMPOTENCY_KEY: (KeyReused,),
        Source.FIELDS: (errors.BodyTooLarge,),
    }
)


def responses_of(route: Route, schemas: Schemas) -> Json:
    """Return the responses of an operation, by status."""
    own = (each for parameter in route.parameters for each in _BY_SOURCE.get(parameter.source, ()))
    shape = reply_shape(route.returns, route.conventions.envelope)
    conditional = (errors.InvalidPrecondition,) if is_conditional(route) else ()
    unknown = (OutcomeUnknown,) if route.changes else ()
    cross_site = (errors.CrossSite,) if route.changes_for_a_caller else ()
    refusals = (*_ALWAYS, *own, *cross_site, *conditional, *unknown, *route.refusals)
    if route.error_format is None:
        refusals_by_status = refused(refusals, schemas)
    else:
        refusals_by_status = _formatted(
            route.error_format, refusals, schemas, whole=route.conventions.error_format is not None
        )
    same = {"304": _same(route)} if is_conditional(route) else {}
    good, reply = str(shape.status), _reply(route, schemas)
    if good in refusals_by_status:  # in an API that refuses with the status of a good answer
        refusals_by_status[good] = _either(reply, refusals_by_status[good])
    return {good: reply} | same | refusals_by_status


def _either(reply: Json, refused: Json) -> Json:
    """Return one response for a good answer and for refusals with the same status."""
    contents = {**reply["content"], **refused["content"]}
    for media_type in reply["content"].keys() & refused["content"].keys():
        one, other = reply["content"][media_type], refused["content"][media_type]
        examples = {"good": {"value": one["example"]}} if "example" in one else {}
        schema = {"anyOf": [one["schema"], other["schema"]]}
        contents[media_type] = {"schema": schema, "examples": examples | other["examples"]}
    description = f"{reply['description']}; {refused['description']}"
    return {"description": description, "headers": refused["headers"] | reply["headers"], "content": contents}


def _same(route: Route) -> Json:
    """Return the response to a caller who has the document already."""
    return {
        "description": "Unchanged: If-None-Match states the current ETag. There is no body.",
        "headers": _headers(("ETag", *_of_caller(route), "X-Request-Id")),
    }


def _formatted(error_format: ErrorFormat, refusals: Iterable[type[Refusal]], schemas: Schemas, *, whole: bool) -> Json:
    """Return the refusals of an operation with an error format of its own.

    Requests that do not reach it are refused in problem documents, unless the `whole` API has the format.
    """
    refusals_by_status = {} if whole else refused(_ALWAYS, schemas)
    for status, examples in sorted(error_format.examples(refusals).items()):
        examples_by_name = {name: {"value": example} for name, example in examples.items()}
        headers = _headers(("WWW-Authenticate", "Retry-After", "X-Request-Id"))
        response = refusals_by_status.setdefault(str(status), {"description": "", "headers": headers, "content": {}})
        response["description"] = "; ".join(filter(None, [response["description"], ", ".join(examples)]))
        response["content"][error_format.media_type] = {
            "schema": schemas.of(error_format.shape),
            "examples": examples_by_name,
        }
    return refusals_by_status


def refused(refusals: Iterable[type[Refusal]], schemas: Schemas) -> Json:
    """Return the responses of refusals, by status."""
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
        if route.example_reply is not None:
            content[JSON]["example"] = msgspec.to_builtins(route.example_reply)
    content |= {media_type: {"schema": {"type": "string"}} for media_type in route.streams}
    return {
        "description": HTTPStatus(shape.status).phrase,
        "headers": _headers((*shape.headers, *route.headers, *_replays(route), *_of_caller(route), "X-Request-Id")),
        "content": content,
    }


def _of_caller(route: Route) -> tuple[str, ...]:
    called = route.reads(Source.CALLER, Source.CREDENTIALS)
    return ("RateLimit", "RateLimit-Policy", *TOKEN_HEADERS) if called else ()


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
