"""Refusals: each is in the tree, has one helpful sentence, and carries facts for clients."""

import re

import pytest

from counterfoil.core import refusals
from counterfoil.core.refusals import BeyondCaller, Refusal, StaleRevision

EVERY = [kind for kind in vars(refusals).values() if isinstance(kind, type) and issubclass(kind, Refusal)]
FAMILIES = [kind for kind in EVERY if kind.__base__ is Refusal]


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn: dict[str, set[str]] = {}
    family = ""
    for line in (refusals.__doc__ or "").splitlines():
        if found := re.match(r"    [├└]── (\w+)", line):
            family = found[1]
            drawn[family] = set()
        elif found := re.match(r"    [│ ]   [├└]── ([\w, ]+)", line):
            drawn[family] |= set(re.findall(r"\w+", found[1]))
    assert drawn == {family.__name__: {kind.__name__ for kind in family.__subclasses__()} for family in FAMILIES}


@pytest.mark.parametrize("kind", EVERY)
def test_a_refusals_docstring_is_its_message(kind: type[Refusal]) -> None:
    assert str(kind()) == kind().detail == kind.__doc__
    assert re.fullmatch(r"[A-Z][^\n]+\.", kind.__doc__ or "")


def test_a_refusal_may_have_its_own_message_and_facts() -> None:
    refused = StaleRevision("It is at 3 by now.", revision=3)
    assert (str(refused), refused.facts) == ("It is at 3 by now.", {"revision": 3})
    assert BeyondCaller().facts == {}
