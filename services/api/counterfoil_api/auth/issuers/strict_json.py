"""JSON that every parser reads alike: no repeated member, only valid Unicode, bounded depth and size."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

_DEEPEST: Final = 12


def decoded(content: bytes) -> dict[str, object]:
    """Return the decoded JSON object; raises ValueError for everything else."""
    try:
        msgspec.json.decode(content)  # refuses halves of surrogate pairs, which json does not
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_float=_finite)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - what is wrong is its text
    for value, depth in _values(found):
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        if isinstance(value, str) and "\0" in value:
            raise ValueError("it contains NUL")
    return found


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a member twice")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(found := float(text)):
        raise ValueError("it contains a number that is too large")
    return found


def _values(value: object, depth: int = 0) -> Iterator[tuple[object, int]]:
    yield value, depth
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        yield from ((name, depth) for name in value)
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _values(each, depth + 1)
