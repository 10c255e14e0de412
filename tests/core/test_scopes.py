"""Scopes: one directed containment, and nothing that means everything by accident."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.refusals import BadScope
from counterfoil.core.scopes import SCOPE_LIMIT, checked, contains, meet, missing, well_formed
from counterfoil.core.secret import mint

WORDS = st.sampled_from(["a", "b", "A", "all", "a-b", "tokens"])
SCOPES = st.one_of(
    st.just("all"),
    st.builds(
        lambda words, end: ".".join(words) + end, st.lists(WORDS, min_size=1, max_size=4), st.sampled_from(["", ".*"])
    ),
)


@pytest.mark.parametrize(
    ("held", "wanted", "given_by_it"),
    [
        ("all", "tokens.read", True),
        ("all", "all", True),
        ("all", "all.Application.read", True),
        ("tokens.*", "tokens.read", True),
        ("tokens.*", "tokens.a.b", True),
        ("tokens.*", "tokens.*", True),
        ("tokens.*", "tokens.a.*", True),
        ("tokens.read", "tokens.read", True),
        ("tokens.*", "tokens", False),
        ("tokens.*", "tokensread", False),
        ("tokens.*", "tokens2.read", False),
        ("tokens", "tokens.read", False),
        ("tokens.read", "tokens.*", False),
        ("tokens.a.*", "tokens.*", False),
        ("tokens.read", "tokens.read.all", False),
        ("Tokens.*", "tokens.read", False),
        ("tokens.*", "all", False),
        ("all.*", "all", False),
        ("all.*", "tokens.read", False),
        ("ALL", "tokens.read", False),
        ("", "tokens.read", False),
        ("*", "tokens.read", False),
        (".*", "tokens.read", False),
    ],
)
def test_a_scope_contains_itself_and_its_branch(held: str, wanted: str, given_by_it: bool) -> None:
    assert contains(held, wanted) is given_by_it


def plainly_contains(held: str, wanted: str) -> bool:
    """The rule in an independent form: everything, the same scope, or a branch that contains it."""
    return held in ("all", wanted) or (held.endswith(".*") and wanted.startswith(held.removesuffix("*")))


@given(SCOPES, SCOPES, SCOPES)
def test_containment_is_a_partial_order(one: str, two: str, three: str) -> None:
    assert contains(one, one)
    assert contains(one, two) is plainly_contains(one, two)
    if contains(one, two) and contains(two, three):
        assert contains(one, three)
    if contains(one, two) and contains(two, one):
        assert one == two


@given(st.lists(SCOPES), st.lists(SCOPES))
def test_missing_scopes_are_those_that_no_held_scope_contains(held: list[str], wanted: list[str]) -> None:
    assert missing(held, wanted) == tuple(w for w in wanted if not any(contains(h, w) for h in held))


@given(st.lists(SCOPES), st.lists(SCOPES), SCOPES)
def test_holding_more_never_gives_less(held: list[str], wanted: list[str], more: str) -> None:
    assert set(missing([*held, more], wanted)) <= set(missing(held, wanted))


@pytest.mark.parametrize("scope", ["mail", "tokens.read", "tokens.*", "all.Application.read", "a-b_c.0", "x" * 128])
def test_a_valid_scope_is_accepted(scope: str) -> None:
    assert checked([scope]) == (scope,)


@pytest.mark.parametrize(
    "scope",
    ["", "*", ".", ".*", "tokens.", ".tokens", "tokens..read", "tokens*", "tokens.*.read", "*.read", "tokens.**",
     "tokens.re*", "tokens read", "tokens.read ", "tokens.read\n", "tokens:read", "tokens,all", "tökens", "tokens\x00",
     "x" * 129],
)  # fmt: skip
def test_an_invalid_scope_is_refused(scope: str) -> None:
    assert not well_formed(scope)
    with pytest.raises(BadScope) as refused:
        checked(["tokens.read", scope])
    assert refused.value.facts == {"field": "scopes"}


def test_a_secret_is_refused_as_a_scope_without_being_repeated() -> None:
    plain = mint("service").plain
    for scope in (plain, f"a.{plain}", f"{plain}.*"):
        with pytest.raises(BadScope) as refused:
            checked([scope])
        assert plain not in str(refused.value)


def test_an_empty_list_holds_no_scopes() -> None:
    assert checked([]) == ()
    assert missing([], ["tokens.read"]) == ("tokens.read",)
    assert missing([], []) == ()


def test_a_token_has_at_most_a_thousand_scopes() -> None:
    many = [f"s{n}" for n in range(1_000)]
    assert len(checked(many)) == len(checked(many * 2)) == SCOPE_LIMIT == 1_000
    with pytest.raises(BadScope):
        checked([*many, "one.more"])


def test_an_unknown_scope_gives_only_itself() -> None:
    ordinary = ["tokens.read", "tokens.*", "all", "files.write"]
    assert [(held, wanted) for held, wanted in product(["no.such.scope"], ordinary) if contains(held, wanted)] == []


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [
        (("all",), ("a.*", "b.c"), ("a.*", "b.c")),
        (("a.*",), ("all",), ("a.*",)),
        (("a.*", "b.c"), ("a.b", "b.*"), ("a.b", "b.c")),
        (("a.b",), ("a.c",), ()),
        (("a.b",), (), ()),
        (("a.*", "a.b"), ("a.b",), ("a.b",)),
    ],
)
def test_the_intersection_of_two_lists(ours: tuple[str, ...], theirs: tuple[str, ...], both: tuple[str, ...]) -> None:
    assert meet(ours, theirs) == both


MANY = st.lists(SCOPES, max_size=5).map(tuple)


@given(MANY, MANY, SCOPES)
def test_the_intersection_gives_exactly_what_both_lists_give(
    ours: tuple[str, ...], theirs: tuple[str, ...], wanted: str
) -> None:
    by_each = not missing(ours, (wanted,)) and not missing(theirs, (wanted,))
    assert (not missing(meet(ours, theirs), (wanted,))) is by_each
