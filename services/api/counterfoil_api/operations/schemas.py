"""The schemas of types and the parameters of routes in an OpenAPI document."""

from collections.abc import Mapping
from typing import Any

import msgspec

from counterfoil.core.refusals import KeyTooShort
from counterfoil.idempotency import SECRET_KEY_LENGTH
from counterfoil_api.http.problems import Problem
from counterfoil_api.operations.api import Route
from counterfoil_api.operations.reading import Parameter, Source
from counterfoil_api.operations.replies import Nothing, Page, reply_shape

Json = dict[str, Any]

_SCHEMA = "#/components/schemas/{name}"
_TAG = r'"[1-9][0-9]{0,15}(-[0-9a-f]{16})?"'
_TAGS = rf"^(\*|{_TAG}( *, *{_TAG})*)$"
_SEEN = rf"^(\*|(W/)?{_TAG}( *, *(W/)?{_TAG})*)$"


class Schemas:
    """The schema of every type that requests and answers contain."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        types = [parameter.type for route in routes for parameter in route.parameters if _has_schema(parameter)]
        types += [reply_shape(route.returns, route.conventions.envelope).body for route in routes]
        types += [route.error_format.shape for route in routes if route.error_format is not None]
        distinct = [each for each in dict.fromkeys([*types, Problem]) if each not in (Page, Nothing)]
        found, self.components = msgspec.json.schema_components(distinct, ref_template=_SCHEMA)
        self._by_type = dict(zip(distinct, found, strict=True))

    def of(self, shape: type) -> Json:
        """Return the reference to the schema of a type."""
        return self._by_type[shape]

    def fields(self, shape: type) -> tuple[Mapping[str, Json], list[str]]:
        """Return the properties of a struct, and the names of the required ones."""
        if "$ref" not in self.of(shape):  # an array, whose items are required
            return {}, ["[]"]
        whole = self.components[self.of(shape)["$ref"].rpartition("/")[2]]
        return whole["properties"], whole.get("required", [])


def _has_schema(parameter: Parameter) -> bool:
    return parameter.source in (Source.BODY, Source.FORM, Source.QUERY, Source.HEADERS, Source.FIELDS)


def is_conditional(route: Route) -> bool:
    """Return whether its answer may be 304: the caller has the document already."""
    return not route.changes and "ETag" in reply_shape(route.returns).headers


def parameters_of(route: Route, schemas: Schemas) -> list[Json]:
    holds_secret = KeyTooShort in route.refusals
    written = [
        each for parameter in route.parameters for each in _documented(parameter, schemas, holds_secret=holds_secret)
    ]
    if is_conditional(route):
        description = "The ETag of the document that you have; if it is unchanged, the answer is 304."
        written.append(_parameter("If-None-Match", "header", {"type": "string", "pattern": _SEEN}, description))
    return written


def _documented(parameter: Parameter, schemas: Schemas, *, holds_secret: bool) -> list[Json]:
    """Return the parameters of an operation that one parameter of its handler stands for."""
    match parameter.source:
        case Source.PATH:
            schema = msgspec.json.schema(parameter.type)
            return [_parameter(parameter.name, "path", schema, schema.pop("description", ""), required=True)]
        case Source.IF_MATCH:
            description = "The accepted revisions: entity tags, or `*`. With any other revision, nothing changes."
            return [_parameter("If-Match", "header", {"type": "string", "pattern": _TAGS}, description)]
        case Source.IDEMPOTENCY_KEY:
            description = "A repeated request with the same key gets the first answer again, for 24 hours."
            if holds_secret:
                description += (
                    f" If the answer holds a secret: ten minutes, and at least {SECRET_KEY_LENGTH} characters."
                )
            schema = {
                "type": "string",
                "pattern": "^[!#-~]{1,255}$",
                "minLength": SECRET_KEY_LENGTH if holds_secret else 1,
            }
            return [_parameter("Idempotency-Key", "header", schema, description)]
        case Source.QUERY | Source.HEADERS | Source.FIELDS:
            place = "header" if parameter.source is Source.HEADERS else "query"
            properties, required = schemas.fields(parameter.type)
            return [
                _parameter(name, place, schema, schema.get("description", ""), required=name in required)
                for name, schema in properties.items()
                if name != "Accept"  # OpenAPI describes it by the media types of the answer
            ]
    return []


def _parameter(name: str, place: str, schema: Json, description: str, *, required: bool = False) -> Json:
    written: Json = {"name": name, "in": place, "schema": schema}
    if description:
        written["description"] = description
    if required:
        written["required"] = True
    return written
