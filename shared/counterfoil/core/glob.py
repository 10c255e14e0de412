"""Globs, which filter lists by name: `*` is any text, `?` one character, and a backslash escapes either."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from counterfoil.core.refusals import BadText

MEANING: Final = r"A glob: * is any text, ? one character; \* \? and \\ are the characters themselves."
"""For help texts and the API's document."""
PATTERN: Final = r"^([^\\]|\\[*?\\])*$"
_PART: Final = re.compile(r"\\(?P<escaped>[*?\\])|(?P<wild>[*?])|(?P<plain>[^*?\\]+)")
_SPECIAL: Final = re.compile(r"[*?\\]")
_WILD: Final = {"*": "%", "?": "_"}
_SPECIAL_IN_LIKE: Final = re.compile(r"[%_\\]")
_LIKE: Final = re.compile(r"\\?.", re.DOTALL)


class Glob(NamedTuple):
    """A glob as SQL has it: the text before its first wildcard, and its LIKE pattern."""

    prefix: str
    like: str

    @property
    def is_exact(self) -> bool:
        """Say whether it has no wildcard."""
        return len(_LIKE.findall(self.like)) == len(self.prefix)

    @property
    def literal(self) -> str:
        """Its text without the wildcards."""
        return "".join(part[-1] for part in _LIKE.findall(self.like) if part not in _WILD.values())

    def matches(self, text: str) -> bool:
        """Say whether the glob matches a text, in time bounded by the two lengths: no backtracking."""
        ends = {0}
        for found in _LIKE.finditer(self.like):
            part = found[0]
            if part == "%":
                ends = set(range(min(ends), len(text) + 1))
            else:
                ends = {end + 1 for end in ends if text[end : end + 1] == part[-1] or (part == "_" and end < len(text))}
            if not ends:  # the glob matches no prefix of the text
                return False
        return len(text) in ends


def read(glob: str, *, field: str) -> Glob:
    """Parse a glob, or raise BadText if a backslash in it escapes nothing."""
    prefix, like, literal = "", "", True
    end = 0
    while part := _PART.match(glob, end):
        end = part.end()
        if wild := part["wild"]:
            literal = False
            like += _WILD[wild]
            continue
        text = part["escaped"] or part["plain"]
        like += _SPECIAL_IN_LIKE.sub(lambda found: f"\\{found[0]}", text)
        prefix += text if literal else ""
    if end < len(glob):
        raise BadText(
            f"The backslash at character {end + 1} of {field} escapes nothing: write \\\\ for a backslash, "
            r"\* for a star, \? for a question mark.",
            field=field,
        )
    return Glob(prefix, like)


def literal(text: str) -> str:
    """Return the glob that matches exactly this text."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)
