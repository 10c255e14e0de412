"""Counterfoil's own namespaces contain only its built-in scopes."""

import pytest

from counterfoil.core.builtin_scopes import KNOWN, WORDS, stray
from counterfoil.core.refusals import BadScope
from counterfoil.core.scopes import checked


@pytest.mark.parametrize("scope", sorted({*WORDS, "own.rotate", "self.read", "own.suspend", "audit.*", "self.*"}))
def test_every_built_in_scope_is_known(scope: str) -> None:
    assert stray(scope) is None
    assert checked([scope]) == (scope,)


@pytest.mark.parametrize("scope", ["payroll.read", "all.Application.read", "mail", "token.read", "tokens2.read"])
def test_scopes_of_customer_applications_are_not_checked(scope: str) -> None:
    assert checked([scope]) == (scope,)


@pytest.mark.parametrize(
    ("scope", "meant"),
    [
        ("tokens.raed", "tokens.read"),
        ("tokens.reads", "tokens.read"),
        ("Tokens.read", "tokens.read"),
        ("users.updat", "users.update"),
        ("own.roate", "own.rotate"),
        ("self.rotates", "self.rotate"),
        ("account.endsecrets", "account.end_secrets"),
        ("scopes.read.*", "scopes.read"),
        ("ALL", "all"),
        ("tokens", "tokens.*"),
    ],
)
def test_a_misspelt_built_in_scope_is_refused_with_the_nearest_one(scope: str, meant: str) -> None:
    with pytest.raises(BadScope, match="is not a scope of Counterfoil; did you mean") as refused:
        checked(["mail.send", scope])
    assert refused.value.detail == f"{scope!r} is not a scope of Counterfoil; did you mean {meant}?"
    assert refused.value.facts == {"field": "scopes"}


def test_a_built_in_scope_without_a_near_match_is_refused_with_the_list() -> None:
    assert "its scopes are alerts.*, alerts.read." in str(stray("alerts.xyzzy_quux_0"))
    assert "write all for everything in the account." in str(stray("administrator"))


def test_every_namespace_has_a_branch_scope() -> None:
    assert {f"{name.partition('.')[0]}.*" for name in KNOWN if "." in name} <= KNOWN
