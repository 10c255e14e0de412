"""The readers of parameters: bytes of callers in, typed values out."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

import msgspec
from aiohttp import web

from counterfoil.core.refusals import BadText
from counterfoil_api.http.addresses import client_of
from counterfoil_api.http.errors import CredentialsMissing, InvalidRequest, MalformedRequest, UnsupportedMediaType
from counterfoil_api.operations.conventions import PLAIN, Conventions
from counterfoil_api.operations.dates import with_moments
from counterfoil_api.operations.etags import MATCH, expectation, field
from counterfoil_api.operations.form_fields import all_of, form_of, given_twice
from counterfoil_api.operations.reading import Parameter, Read, Source
from counterfoil_api.operations.validation_errors import misread, named

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def reader(parameter: Parameter, conventions: Conventions = PLAIN) -> Read:
    """Return the reader of this parameter, with everything prepared that is the same for all requests."""
    match parameter.source:
        case Source.BODY:
            return _body_reader(parameter.type, any_media_type=conventions.any_media_type)
        case Source.FORM:
            return _form_reader(parameter.type)
        case Source.QUERY:
            return _query_reader(parameter.type, lenient=conventions.lenient)
        case Source.FIELDS:
            return _fields_reader(parameter.type)
        case Source.PATH:
            name = parameter.name
            return lambda request, _: request.match_info[name]
        case Source.CALLER | Source.CREDENTIALS:
            return conventions.credentials
        case Source.OPTIONAL_CREDENTIALS:
            return _optional(conventions.credentials)
        case Source.ADDRESS:
            return lambda request, _: client_of(request)
        case Source.IF_MATCH:
            return _if_match
        case Source.IDEMPOTENCY_KEY:
            return conventions.retry
        case Source.HEADERS:
            return _headers_reader(parameter.type)


def _optional(credentials: Read) -> Read:
    def read(request: web.Request, raw: bytes) -> object:
        try:
            return credentials(request, raw)
        except CredentialsMissing:
            return None

    return read


def refuse_query(request: web.Request, *, lenient: bool = False) -> None:
    """Refuse every query parameter of an operation that has none, so that a misspelt one is not ignored.

    A lenient operation ignores all but secrets, which are never allowed in a query string.
    """
    if text := request.rel_url.raw_query_string:
        fields = form_of(text, frozenset(), where="query", lenient=lenient)
        if lenient:
            return
        name = next(iter(fields))
        raise InvalidRequest(f"This operation has no query parameter{named(name)}.", where="query")


def _body_reader(shape: type, *, any_media_type: bool) -> Read:
    decode: Callable[[bytes], object] = msgspec.json.Decoder(shape).decode

    def read(request: web.Request, raw: bytes) -> object:
        if raw and not any_media_type:
            _expect_media_type(request, _JSON)
        return _decoded(decode, raw or b"{}", shape)

    return read


def _decoded(decode: Callable[[bytes], object], raw: bytes, shape: type) -> object:
    try:
        value = _typed(decode, raw, shape)
        # The typed shape limits the depth, so this second pass cannot recurse far.
        if raw.count(b":") > 1:
            _ONCE.decode(raw.decode())
    except (ValueError, RecursionError):
        raise MalformedRequest("The body must be JSON in UTF-8, with every key given once.") from None
    if b"u0000" in raw and _NUL.search(raw):  # Postgres accepts it in no text
        raise BadText
    return value


def _typed(decode: Callable[[bytes], object], raw: bytes, shape: type) -> object:
    try:
        return decode(raw)
    except msgspec.ValidationError:
        return converted(msgspec.json.decode(raw), shape, where="body")


def converted(given: object, shape: type, *, where: str) -> object:
    """Convert a value to this shape; a date is accepted as the moment when it begins. Raises InvalidRequest."""
    with suppress(msgspec.ValidationError):
        return msgspec.convert(given, shape)
    try:
        return msgspec.convert(with_moments(given, shape), shape)
    except msgspec.ValidationError as error:
        raise misread(error, shape, where=where, given=given) from None


def _refuse_repeated(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError


# msgspec takes the last of two equal keys; a proxy that logged or checked the first saw another request.
_ONCE = json.JSONDecoder(object_pairs_hook=_refuse_repeated)


def _form_reader(shape: type[msgspec.Struct]) -> Read:
    convert = _converter(shape, where="form")
    repeatable = _repeatable(shape)

    def read(request: web.Request, raw: bytes) -> object:
        _expect_media_type(request, _FORM)
        return convert(form_of(_ascii(raw), repeatable))

    return read


def _ascii(raw: bytes) -> str:
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise MalformedRequest("A form must be percent-encoded ASCII, such as scope=invoices.read.") from None


def _fields_reader(shape: type) -> Read:
    if get_origin(shape) is dict:
        return form_and_query
    convert = _converter(shape, where="form")
    lists = {each.encode_name: _is_list(each.type) for each in msgspec.structs.fields(shape)}

    def read(request: web.Request, raw: bytes) -> object:
        given = form_and_query(request, raw)
        return convert(
            {name: values if lists[name] else _one(values) for name, values in given.items() if name in lists}
        )

    return read


def form_and_query(request: web.Request, raw: bytes) -> dict[str, list[str]]:
    """Return the parameters of the query string and of a form body; those of the body take precedence."""
    fields = all_of(request.rel_url.raw_query_string)
    if raw:
        _expect_media_type(request, _FORM)
        fields |= all_of(_ascii(raw))
    return fields


def _one(values: list[str]) -> str:
    if len(values) > 1:
        raise given_twice("form")
    return values[0]


def _query_reader(shape: type[msgspec.Struct], *, lenient: bool) -> Read:
    convert = _converter(shape, where="query")
    empty: object = msgspec.convert({}, shape)
    repeatable, own = _repeatable(shape), frozenset(each.encode_name for each in msgspec.structs.fields(shape))

    def read(request: web.Request, _: bytes) -> object:
        text = request.rel_url.raw_query_string
        return convert(form_of(text, repeatable, where="query", own=own, lenient=lenient)) if text else empty

    return read


def _headers_reader(shape: type[msgspec.Struct]) -> Read:
    names = {each.name: each.encode_name for each in msgspec.structs.fields(shape)}
    return lambda request, _: shape(**{name: field(request, header) or "" for name, header in names.items()})


def _repeatable(shape: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(each.encode_name for each in msgspec.structs.fields(shape) if _is_list(each.type))


def _is_list(hint: object) -> bool:
    return get_origin(hint) is tuple or (get_origin(hint) is Annotated and _is_list(get_args(hint)[0]))


def _converter(shape: type[msgspec.Struct], *, where: str) -> Callable[[Mapping[str, object]], object]:
    # Only whole numbers are read from text: msgspec's lax mode would accept 0.5 as a time and null as nothing.
    whole = [each.encode_name for each in msgspec.structs.fields(shape) if _is_whole(each.type)]

    def convert(fields: Mapping[str, object]) -> object:
        given = {**fields}
        for name in whole:
            text = fields.get(name)
            if isinstance(text, str) and _WHOLE.fullmatch(text):
                given[name] = int(text)
        return converted(given, shape, where=where)

    return convert


def _is_whole(hint: object) -> bool:
    """Return whether a value of this type is a whole number, perhaps with limits, perhaps optional."""
    if get_origin(hint) in (Annotated, Union, UnionType):
        return any(map(_is_whole, get_args(hint)))
    return hint is int


def _expect_media_type(request: web.Request, expected: str) -> None:
    given = request.headers.get("Content-Type", "")
    if given != expected and request.content_type != expected:  # noqa: PLR1714 - the first test is cheap
        raise UnsupportedMediaType(f"The Content-Type of this operation is {expected}.")


def _if_match(request: web.Request, _: bytes) -> frozenset[int] | None:
    header = field(request, MATCH)
    return None if header is None else expectation(header)
