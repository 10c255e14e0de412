"""What is wrong with the form of a request, in words for its sender; nothing that was sent is repeated."""

import re
from collections.abc import Iterator
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from counterfoil_api.edge.complaints import InvalidRequest

# A name that we print back is a word, never something that could be a secret.
_WORD = re.compile(r"[a-z][a-z_-]{0,31}")
_AT = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(.+)`")


def misread(error: msgspec.ValidationError, shape: type, *, where: str) -> InvalidRequest:
    """The complaint about something that should have had this shape."""
    text = str(error)
    at = _AT.search(text)
    path, said = (at[1], text[: at.start()]) if at else ("", text)
    if missing := _MISSING.fullmatch(said):
        path = f"{path}.{missing[1]}".lstrip(".")
    facts = {"field": path} if path else {}
    return InvalidRequest(_told(said, _hint(shape, path)), where=where, **facts)


def named(name: str) -> str:
    """A name after a noun, if it may be repeated."""
    return f" `{name}`" if _WORD.fullmatch(name) else " of this name"


def _told(said: str, hint: object) -> str:
    if said.startswith("Invalid enum value"):
        return f"Known here are: {', '.join(_choices(hint))}."
    if missing := _MISSING.fullmatch(said):
        meant = next((part.description for part in _parts(hint) if isinstance(part, Meta) and part.description), "")
        return f"`{missing[1]}` is missing. {meant}".rstrip()
    known, unknown, name = said.partition("Object contains unknown field ")
    return f"There is no field{named(name.strip('`'))}" if unknown and not known else said


def _hint(shape: object, path: str) -> object:
    """The type of the field at this path, or of what leads there."""
    for name in path.split("."):
        for part in _parts(shape):
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                shape = get_type_hints(part, include_extras=True).get(name, shape)
                break
    return shape


def _parts(hint: object) -> Iterator[object]:
    yield hint
    for part in get_args(hint):
        yield from _parts(part)


def _choices(hint: object) -> list[str]:
    return sorted(str(choice) for part in _parts(hint) if get_origin(part) is Literal for choice in get_args(part))
