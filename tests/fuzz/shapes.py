"""Foreign text and bytes: well-formed, well-formed with changes, and arbitrary."""

from collections.abc import Callable
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Meddle = Callable[[DrawFn, str], str]

# Text that has confused parsers before: NUL, lone surrogates, directions, digits of other scripts, letters that change
# length with their case, numbers beyond every type, meaningless percent signs, and every separator.
ODD: Final = (
    *("\x00", "\ud800", "\udcff", "\u202e", "\ufeff", "é", "ß", "İ", "\U0001d7d9", "\u0661", "\x7f", "\x85"),
    *("%00", "%", "%zz", "%ff", "+", "-", "_", "~", "\\", "\\u0000", "\\ud800", '"', "'", "`", ",", ";", ":", "::"),
    *(" ", "  ", "=", "==", "&", "#", "?", "/", "//", "../", ".", "..", "@", "[", "]", "[::", "{", "}", "(", "*", "$"),
    *("0", "-0", "9" * 30, "9" * 5_000, "1e999", "0x1", "NaN", "null", "true", "{}", "[]", "W/", "cfl_", "eyJ", "::1"),
    *("\n", "\r\n", "\t"),
)
FILLERS: Final = (
    *("a", "0", "9", ",", '"', ".", " ", "\t", "%41", "%", "a=b&", "&", "=", "/", "-", "+", ":", "::", "@", "\x00"),
    *("[", "[1,", '{"a":', '"a":1,', "\\u0041", "\\", '"1", ', 'W/"1",', "a.", "1h", "9.", "eyJ.", "cfl_service_"),
    *("cfl_service_" + "a" * 49, "Basic ", "127.0.0.1,", "::1, ", "a,b:", "\udcff", "ab", "aab", "(", "!", "é"),
    *("eyJ-", "a.a", "?a", "a@"),
)
"""Repeated without end, whatever is in a parser that takes longer than what it reads shows."""


def _cut(draw: DrawFn, text: str) -> str:
    start, end = sorted((_place(draw, text), _place(draw, text)))
    return text[:start] + text[end:]


def _double(draw: DrawFn, text: str) -> str:
    start, end = sorted((_place(draw, text), _place(draw, text)))
    return text[:end] + text[start:]


def _insert(draw: DrawFn, text: str) -> str:
    at = _place(draw, text)
    return text[:at] + draw(st.sampled_from(ODD)) + text[at:]


def _replace(draw: DrawFn, text: str) -> str:
    at = _place(draw, text)
    return text[:at] + draw(st.characters(exclude_categories=())) + text[at + 1 :]


def _recase(draw: DrawFn, text: str) -> str:
    at = _place(draw, text)
    return text[:at] + text[at:].swapcase()


def _place(draw: DrawFn, text: str) -> int:
    return draw(st.integers(0, len(text)))


MEDDLING: Final[tuple[Meddle, ...]] = (_cut, _double, _insert, _insert, _replace, _recase)


@st.composite
def _meddled(draw: DrawFn, valid: SearchStrategy[str]) -> str:
    text = draw(valid)
    for meddle in draw(st.lists(st.sampled_from(MEDDLING), min_size=1, max_size=4)):
        text = meddle(draw, text)
    return text


def foreign(valid: SearchStrategy[str]) -> SearchStrategy[str]:
    """Text that is often almost valid."""
    anything = st.text(st.characters(exclude_categories=()), max_size=80)
    return st.one_of(valid, _meddled(valid), _meddled(valid), anything)


def foreign_bytes(valid: SearchStrategy[str]) -> SearchStrategy[bytes]:
    """The same as bytes; surrogates become invalid UTF-8."""
    text = foreign(valid).map(lambda each: each.encode("utf-8", "surrogatepass"))
    return st.one_of(text, text, st.binary(max_size=80))
