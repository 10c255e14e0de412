"""The values that a type accepts, in words that are generated from the type."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Final, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from msgspec import Meta, UnsetType

from counterfoil.core.moments import DATE_EXAMPLE, EXAMPLE

_ID: Final = "019ca8c1-7b40-7000-8000-3f2a9c51d7e4"


def form_of(hint: object) -> str:
    """Return the words that follow "has to be"."""
    forms = [_one(kind, metas) for kind, metas in _kinds(hint)]
    return " or ".join(dict.fromkeys(forms))


def kinds_of(hint: object) -> list[object]:
    """Return the types that a hint allows, without their annotations: `str | None` allows `str`."""
    return [kind for kind, _ in _kinds(hint)]


def description_of(hint: object) -> str:
    """Return the description in a hint, "" if there is none."""
    return next((part.description for part in parts(hint) if isinstance(part, Meta) and part.description), "")


def parts(hint: object) -> Iterator[object]:
    """Iterate over the hint and all its arguments."""
    yield hint
    for part in get_args(hint):
        yield from parts(part)


def fields_in(shape: object) -> dict[str, object]:
    """Return the fields of the struct that a hint allows, none if it allows no struct."""
    for kind in kinds_of(shape):
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return _fields(kind)
    return {}


@lru_cache(maxsize=256)
def _fields(kind: type[msgspec.Struct]) -> dict[str, object]:
    return get_type_hints(kind, include_extras=True)


def _kinds(hint: object, metas: tuple[Meta, ...] = ()) -> Iterator[tuple[object, tuple[Meta, ...]]]:
    if get_origin(hint) is Annotated:
        inner, *more = get_args(hint)
        yield from _kinds(inner, (*metas, *(each for each in more if isinstance(each, Meta))))
    elif get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from _kinds(part, metas)
    elif hint not in (NoneType, None, UnsetType):
        yield hint, metas


def _one(kind: object, metas: tuple[Meta, ...]) -> str:
    origin = get_origin(kind) or kind
    if origin is Literal:
        return _either([str(choice) for choice in get_args(kind)])
    if origin is str:
        return _text(metas)
    if origin in (tuple, list):
        return f"a list{_within(metas, ' of ', ' elements')}, each of them {form_of(get_args(kind)[0])}"
    if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        return f"an object with {_either(list(fields_in(origin)), 'and') or 'no fields'}"
    return {
        bool: "true or false",
        int: f"a whole number{_within(metas, ' of ')}",
        float: "a number",
        datetime: f"a moment such as {EXAMPLE}, or a date such as {DATE_EXAMPLE} (its start in UTC)",
        UUID: f"an id such as {_ID}",
        dict: "an object whose values are text",
    }.get(origin if isinstance(origin, type) else object, "something else")


def _text(metas: tuple[Meta, ...]) -> str:
    example = next((meta.examples[0] for meta in metas if meta.examples), None)
    description = next((meta.description for meta in metas if meta.pattern and meta.description), "")
    words = f" ({description.rstrip('.')})" if description else ""
    return "text" + _within(metas, " of ", " characters") + (words if example is None else f", such as {example}")


def _within(metas: tuple[Meta, ...], before: str, after: str = "") -> str:
    """Return the limits of a number, or of a length, between these words; "" where there are none."""
    least = most = None
    for meta in metas:
        schema = meta.extra_json_schema or {}
        least = next(
            (each for each in (meta.ge, meta.min_length, schema.get("minLength"), least) if each is not None), None
        )
        most = next(
            (each for each in (meta.le, meta.max_length, schema.get("maxLength"), most) if each is not None), None
        )
    if most is None:
        return "" if least is None else f"{before}at least {least:,}{after}"
    return f"{before}at most {most:,}{after}" if least is None else f"{before}{least:,} to {most:,}{after}"


def _either(choices: list[str], word: str = "or") -> str:
    *first, last = choices or [""]
    return f"{', '.join(first)} {word} {last}" if first else last
