"""Principals: what a caller holds, and what follows from an end of its own."""

import pytest

from counterfoil.principal import NIL, SYSTEM, refuse_beyond_life, refuse_beyond_scopes
from counterfoil.refusals import BeyondCaller
from pure.stories import ADMIN, ANOTHER, DAY, NOON, holding


def test_a_principal_lacks_what_it_does_not_hold() -> None:
    assert not ANOTHER.lacks("tokens.read")
    assert ANOTHER.lacks("mail.read")
    assert not ADMIN.lacks("anything.at.all")
    assert holding().lacks("tokens.read")


def test_the_system_may_do_everything_in_nobodys_account() -> None:
    assert SYSTEM.account == SYSTEM.actor.id == NIL
    assert not SYSTEM.lacks("tokens.read")
    refuse_beyond_scopes(SYSTEM.scopes, ("all",))
    refuse_beyond_life(SYSTEM, None)


def test_an_end_of_ones_own_is_the_latest_that_can_be_given() -> None:
    caller = holding(expires_at=NOON)
    refuse_beyond_life(caller, NOON)
    refuse_beyond_life(caller, NOON - DAY)
    for longer in (None, NOON + DAY):
        with pytest.raises(BeyondCaller):
            refuse_beyond_life(caller, longer)


def test_whoever_holds_nothing_can_give_nothing() -> None:
    refuse_beyond_scopes((), ())
    with pytest.raises(BeyondCaller):
        refuse_beyond_scopes((), ("tokens.read",))
