"""If-Match: what it accepts, and that no bytes of strangers break it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil_api.edge.complaints import InvalidPrecondition
from counterfoil_api.typed.conditions import etag, expectation


@given(st.lists(st.integers(1, 10**15), min_size=1), st.sampled_from([",", ", ", " ,\t", ", ,"]))
def test_every_tag_of_ours_is_read_back(revisions: list[int], comma: str) -> None:
    assert expectation(comma.join(etag(revision) for revision in revisions)) == frozenset(revisions)


@given(st.text(max_size=60))
def test_any_text_is_an_expectation_or_a_complaint(text: str) -> None:
    with contextlib.suppress(InvalidPrecondition):
        expectation(text)


@pytest.mark.parametrize("tag", ['"abc"', '""', '"0"', '"-1"', '"01"', '"1.0"', '"99999999999999999"', '"1é"'])
def test_tags_that_were_never_ours_match_nothing(tag: str) -> None:
    assert expectation(tag) == frozenset()


def test_a_star_matches_whatever_is_there() -> None:
    assert expectation(" * ") is None


def test_weak_tags_are_refused_with_the_reason() -> None:
    with pytest.raises(InvalidPrecondition, match="weak"):
        expectation('"1", W/"2"')
