"""Messages about malformed requests: the field, the value that was given, and the values that are accepted.

A message repeats a value only where it is unlikely to be a secret: never that of a field that may hold one, and of text
only a short word or a moment.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Final

import msgspec

from counterfoil.core import moments
from counterfoil.core.secret import stands_in
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.operations.forms import description_of, fields_in, form_of, kinds_of

# A name that a message repeats is a word, never something that could be a secret.
_WORD: Final = re.compile(r"[a-z][a-z_-]{0,31}")
_AT: Final = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_STEP: Final = re.compile(r"([^.\[\]]+)|\[([0-9]+)\]")
_MISSING: Final = re.compile(r"Object missing required field `(.+)`")
_UNKNOWN: Final = "Object contains unknown field "
_HARMLESS: Final = re.compile(r"[A-Za-z0-9_.:+-]{1,16}|[0-9:.+-]{4,}[ Tt]?[0-9:.+-]*[Zz]?")
_LONGEST: Final = 40
_NOTHING: Final = object()
_MAY_HOLD_A_SECRET: Final = frozenset(
    {"secret", "password", "code", "value", "token", "client_secret", "subject_token", "actor_token", "assertion"}
)
_CALLED: Final = {"body": "field", "query": "query parameter", "form": "parameter"}


def misread(error: msgspec.ValidationError, shape: type, *, where: str, given: object) -> InvalidRequest:
    """Return the refusal of a value that does not have this shape."""
    text = str(error)
    at = _AT.search(text)
    path, message = (at[1], text[: at.start()]) if at else ("", text)
    path, value, _ = path.partition("[...]")  # a value of a mapping, whose name is not repeated
    if missing := _MISSING.fullmatch(message):
        return _missing(missing[1], path, _hint(shape, path), where=where)
    if message.startswith(_UNKNOWN):
        return _unknown(message.removeprefix(_UNKNOWN).strip("`"), path, _hint(shape, path), where=where)
    hint = _hint(shape, path)
    if wrong := _zoneless(hint, given, path):
        return InvalidRequest(wrong, where=where, **_facts(path))
    what = "an object with a value of another kind" if value else _what(given, path)
    detail = f"{f'`{path}`' if path else f'The {where}'} is {what}; it has to be {form_of(hint)}."
    return InvalidRequest(detail, where=where, **_facts(path))


def named(name: str) -> str:
    """Return a name to follow a noun, if it may be repeated."""
    return f" `{name}`" if _WORD.fullmatch(name) else " of this name"


def _missing(name: str, above: str, hint: object, *, where: str) -> InvalidRequest:
    wanted = fields_in(hint).get(name, str)
    path = f"{above}.{name}".lstrip(".")
    detail = f"`{path}` is missing. {description_of(wanted) or f'It has to be {form_of(wanted)}.'}"
    return InvalidRequest(detail, where=where, **_facts(path))


def _unknown(name: str, above: str, hint: object, *, where: str) -> InvalidRequest:
    known = list(fields_in(hint))
    near = get_close_matches(name, known, n=1)
    if near:
        advice = f"; did you mean `{near[0]}`?"
    else:
        advice = f"; there are {', '.join(known)}." if known else "; there are none here."
    facts = _facts(f"{above}.{name}".lstrip(".")) if _WORD.fullmatch(name) else _facts(above)
    return InvalidRequest(f"There is no {_CALLED[where]}{named(name)}{advice}", where=where, **facts)


def _facts(path: str) -> dict[str, str]:
    return {"field": path} if path else {}


def _hint(shape: object, path: str) -> object:
    """Return the type of the field at this path, or of the nearest field above it."""
    for name, _ in _STEP.findall(path):
        if name:
            shape = fields_in(shape).get(name, shape)
        else:
            lists = (kind for kind in kinds_of(shape) if getattr(kind, "__origin__", None) in (tuple, list))
            shape = next((kind.__args__[0] for kind in lists), shape)  # type: ignore[attr-defined] # it has an origin
    return shape


def _zoneless(hint: object, given: object, path: str) -> str:
    """Return the message about a time without its zone where a time is expected; "" otherwise."""
    value = _at_path(given, path)[1]
    wrong = moments.zoneless(value) if isinstance(value, str) and datetime in kinds_of(hint) else None
    return f"`{path}` is refused: {wrong}." if wrong else ""


def _what(given: object, path: str) -> str:
    """Describe the value at this path, as far as it may be repeated."""
    name, value = _at_path(given, path)
    return "not right" if value is _NOTHING else _shown(value, secret=name in _MAY_HOLD_A_SECRET)


def _at_path(given: object, path: str) -> tuple[str, object]:
    """Return the name of the field at this path, and its value."""
    name = ""
    for step, number in _STEP.findall(path):
        name = step or name
        if isinstance(given, Mapping) and step in given:
            given = given[step]
        elif isinstance(given, list) and number:
            given = given[int(number)]
        else:
            return name, _NOTHING
    return name, given


def _shown(value: object, *, secret: bool) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            text = str(value)
            return "a number" if secret or len(text) > _LONGEST else f"the number {text}"
        case str():
            if not value:
                return "empty text"
            harmless = len(value) <= _LONGEST and _HARMLESS.fullmatch(value) and not stands_in(value)
            return f"`{value}`" if harmless and not secret else f"text of {len(value):,} characters"
        case list():
            return {0: "an empty list", 1: "a list of one"}.get(len(value), f"a list of {len(value):,} elements")
    return "an object"
