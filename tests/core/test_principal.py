"""Principals: what a caller holds, and what follows from its own expiry."""

import pytest
from msgspec.structs import replace

from core.histories import ADMIN, ANOTHER, DAY, NOON, holding
from counterfoil.core.principal import (
    NIL,
    SYSTEM,
    Owner,
    on_behalf,
    refuse_beyond,
    refuse_beyond_lifetime,
    refuse_beyond_scopes,
)
from counterfoil.core.refusals import BeyondCaller


def test_a_principal_lacks_what_it_does_not_hold() -> None:
    assert not ANOTHER.lacks("tokens.read")
    assert ANOTHER.lacks("mail.read")
    assert not ADMIN.lacks("anything.at.all")
    assert holding().lacks("tokens.read")


def test_the_system_may_do_everything_in_no_account() -> None:
    assert SYSTEM.account == SYSTEM.actor.id == NIL
    assert not SYSTEM.lacks("tokens.read")
    refuse_beyond_scopes(SYSTEM.scopes, ("all",))
    refuse_beyond_lifetime(SYSTEM, None)


def test_a_caller_with_an_expiry_gives_none_that_is_later() -> None:
    caller = holding(expires_at=NOON)
    refuse_beyond_lifetime(caller, NOON)
    refuse_beyond_lifetime(caller, NOON - DAY)
    for longer in (None, NOON + DAY):
        with pytest.raises(BeyondCaller):
            refuse_beyond_lifetime(caller, longer)


def test_a_caller_without_scopes_gives_none() -> None:
    refuse_beyond_scopes((), ())
    with pytest.raises(BeyondCaller):
        refuse_beyond_scopes((), ("tokens.read",))


@pytest.mark.parametrize(
    ("user", "token", "left"),
    [
        (("all",), ("all",), ("all",)),
        (("own.*", "scopes.read"), ("all",), ("own.*", "scopes.read")),
        (("own.*",), ("own.read", "self.rotate", "mail.send"), ("own.read", "self.rotate")),
        (("tokens.read", "tokens.rotate"), ("own.read", "self.rotate", "own.create"), ("own.read", "self.rotate")),
        (("invoices.read",), ("invoices.*",), ("invoices.read",)),
        (("self.rotate",), ("own.rotate", "tokens.rotate"), ()),
        ((), ("mail.send", "self.rotate", "all"), ()),
    ],
)
def test_a_token_with_an_owner_does_no_more_than_the_owner(
    user: tuple[str, ...], token: tuple[str, ...], left: tuple[str, ...]
) -> None:
    assert on_behalf(user, token) == left


def test_the_right_to_rotate_own_tokens_is_passed_only_to_a_token_of_the_same_owner() -> None:
    ours = Owner("service", "ours")
    refuse_beyond(replace(holding("own.rotate"), owner=ours), ("self.rotate",), owner=ours)
    with pytest.raises(BeyondCaller):
        refuse_beyond(replace(holding("own.rotate"), owner=ours), ("self.rotate",), owner=Owner("service", "another"))
    refuse_beyond(holding("tokens.rotate"), ("self.rotate",), owner=Owner("service", "another"))


def test_a_user_id_has_one_canonical_form() -> None:
    spelt = "0190f5fe-7c00-7a00-8000-000000000001"
    known = Owner("user", spelt).user
    assert str(known) == spelt
    assert Owner("user", spelt.upper()).user == Owner("user", spelt.replace("-", "")).user == known
    assert Owner("service", spelt).user is None
    assert Owner("user", "ada").user is None
