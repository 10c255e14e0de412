"""Globs: which texts they match, and which globs are refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.glob import Glob, literal, read
from counterfoil.core.refusals import BadText


@pytest.mark.parametrize(
    ("glob", "prefix", "like"),
    [
        ("", "", ""),
        ("nightly", "nightly", "nightly"),
        ("ci-*", "ci-", "ci-%"),
        ("ci-?-*", "ci-", "ci-_-%"),
        (r"g\*x", "g*x", "g*x"),
        (r"g\*x*", "g*x", "g*x%"),
        (r"a\?b", "a?b", "a?b"),
        (r"a\\b", "a\\b", r"a\\b"),
        (r"a\\*", "a\\", r"a\\%"),
        (r"\\\*", "\\*", r"\\*"),
        ("100%_", "100%_", r"100\%\_"),
        ("*%", "", r"%\%"),
        ("a\nb", "a\nb", "a\nb"),
    ],
)
def test_a_glob_is_a_prefix_and_a_pattern(glob: str, prefix: str, like: str) -> None:
    assert read(glob, field="name") == Glob(prefix, like)


@pytest.mark.parametrize(("glob", "place"), [("\\", 1), ("a\\", 2), (r"a\b", 2), (r"\\\ ".strip(), 3), (r"*\%", 2)])
def test_an_unnecessary_backslash_is_refused_with_its_position(glob: str, place: int) -> None:
    with pytest.raises(BadText, match=f"character {place} of name escapes nothing") as refused:
        read(glob, field="name")
    assert refused.value.facts == {"field": "name"}


@pytest.mark.parametrize("text", ["", "nightly", "exact*", "a?b", "a\\b", "100%_", "\\*"])
def test_a_text_matches_its_escaped_glob(text: str) -> None:
    assert read(literal(text), field="name").prefix == text


def _as_pattern(glob: str) -> re.Pattern[str]:
    parts = re.findall(r"\\?.", glob, re.DOTALL)
    return re.compile("".join({"*": ".*", "?": "."}.get(each, re.escape(each[-1])) for each in parts), re.DOTALL)


@given(
    glob=st.lists(st.sampled_from(["*", "?", r"\*", r"\?", r"\\", "a", "b", "%", "_", "\n"]), max_size=6).map("".join),
    text=st.text("ab*?%_\\\n", max_size=6),
)
def test_a_glob_matches_as_its_pattern_does(glob: str, text: str) -> None:
    assert read(glob, field="name").matches(text) == bool(_as_pattern(glob).fullmatch(text))


def test_matching_time_does_not_explode_with_many_stars() -> None:
    assert not read("*" * 255 + "x", field="name").matches("inactive")
    assert read("*i" * 127 + "*", field="name").matches("i" * 127)
