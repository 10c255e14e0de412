"""Bodies, forms, queries and headers of every operation, read as the operation reads them."""

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from counterfoil.core.refusals import Refusal
from counterfoil_api.application import routes
from counterfoil_api.http.errors import (
    CredentialsInQuery,
    InvalidPrecondition,
    InvalidRequest,
    MalformedRequest,
    UnsupportedMediaType,
)
from counterfoil_api.operations.readers import reader
from counterfoil_api.operations.reading import Parameter, Source
from fuzz.parser import ID, SECRET
from fuzz.shapes import ODD, foreign, foreign_bytes
from fuzz.test_parsers import BYTES_PER_BYTE

LENGTH = 4_000
REFUSALS = (CredentialsInQuery, InvalidPrecondition, InvalidRequest, MalformedRequest, UnsupportedMediaType)
MEDIA_TYPES = {Source.BODY: "application/json", Source.FORM: "application/x-www-form-urlencoded"}
WORDS = (
    *("90d", "forever", "tokens.read", "a.*", "service", "user", ID, SECRET, "2026-01-01T00:00:00Z", "a@b.example"),
    *("10.0.0.0/8", "sha256", "active", "-created", "urn:ietf:params:oauth:token-type:jwt", "https://x.example", *ODD),
)
FILLERS = ("a", "9", "%", "a=b&", "[", "[1,", '{"a":', '"a":1,', "\\u0041", '"')
LEAVES: SearchStrategy[Any] = st.one_of(
    st.sampled_from(WORDS), st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=9)
)


def _shapes() -> Iterator[tuple[str, Parameter]]:
    for route in routes():
        for parameter in route.parameters:
            if parameter.source in (Source.BODY, Source.FORM, Source.QUERY):
                yield f"{route.method} {route.path} {parameter.source.value}", parameter


SHAPES = dict(_shapes())


def names_in(shape: object, seen: frozenset[object] = frozenset()) -> frozenset[str]:
    """The names of all fields of this shape, at any depth."""
    found: frozenset[str] = frozenset()
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct) and shape not in seen:
        for field in msgspec.structs.fields(shape):
            found |= {field.encode_name} | names_in(field.type, seen | {shape})
    for part in getattr(shape, "__args__", ()):
        found |= names_in(part, seen)
    return found


def documents(shape: type) -> SearchStrategy[str]:
    """JSON that often uses this shape's names."""
    names = sorted(names_in(shape)) or ["a"]
    keys = st.one_of(st.sampled_from(names), st.sampled_from(names), st.sampled_from(WORDS))
    values = st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6), max_leaves=12
    )
    return st.dictionaries(keys, values, max_size=8).map(_written)


def _written(value: object) -> str:
    # Not by msgspec, which refuses to write some values that the reader must handle.
    return json.dumps(value, ensure_ascii=False)


def fields(shape: type) -> SearchStrategy[str]:
    """A form or query that often uses this shape's names."""
    names = st.sampled_from([*(sorted(names_in(shape)) or ["a"]), "a"])
    pairs = st.lists(st.tuples(names, st.sampled_from(WORDS)), max_size=6)
    return pairs.map(lambda given: "&".join(f"{name}={value}" for name, value in given))


def answered(parameter: Parameter, raw: bytes) -> object:
    """The result of this parameter's reader for these bytes."""
    target, media_type = "/", MEDIA_TYPES.get(parameter.source)
    if parameter.source is Source.QUERY:
        target += "?" + raw.decode("utf-8", "surrogateescape").partition("#")[0]
    headers = {} if media_type is None else {"Content-Type": media_type}
    try:
        return reader(parameter)(make_mocked_request("POST", target, headers=headers), raw)
    except REFUSALS as refusal:
        return refusal


def fuzz(parameter: Parameter, examples: int) -> None:
    shaped = documents(parameter.type) if parameter.source is Source.BODY else fields(parameter.type)

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(foreign_bytes(shaped))
    def reads(raw: bytes) -> None:
        answered(parameter, raw)

    reads()


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_any_bytes_become_a_document_or_a_refusal(name: str) -> None:
    fuzz(SHAPES[name], 12)


@pytest.mark.campaign
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_any_bytes_of_a_long_run_become_a_document_or_a_refusal(name: str) -> None:
    fuzz(SHAPES[name], 500)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_reading_a_document_takes_bounded_time_and_memory(name: str) -> None:
    parameter = SHAPES[name]
    beginnings = ("", "{", *(f'{{"{field}":' for field in sorted(names_in(parameter.type))[:2]))
    tracemalloc.start()
    try:
        for text in (beginning + filler * (LENGTH // len(filler)) for beginning in beginnings for filler in FILLERS):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            answered(parameter, text.encode("utf-8", "surrogatepass"))
            assert tracemalloc.get_traced_memory()[1] - before <= BYTES_PER_BYTE * LENGTH, text[:40]
    finally:
        tracemalloc.stop()


@settings(max_examples=150, deadline=None, database=None)
@given(
    st.sampled_from(("If-Match", "Idempotency-Key", "Authorization", "X-Authorization-OTP", "X-Request-Id")),
    foreign(
        st.sampled_from(('"1", "2"', "*", "a" * 22, f'"{ID}"', f"Bearer {SECRET}", "123456", "ab2c-de3f-gh4i-jk5l"))
    ),
)
def test_any_header_becomes_a_value_or_a_refusal(name: str, value: str) -> None:
    # Headers that are not text are covered by `test_service.py`: such a request cannot be built here.
    request = make_mocked_request("POST", "/", headers={name: value.encode("utf-8", "ignore").decode()})
    for source in (Source.IF_MATCH, Source.IDEMPOTENCY_KEY, Source.CREDENTIALS):
        with suppress(Refusal):
            reader(Parameter("given", source, str))(request, b"{}")
