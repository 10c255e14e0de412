"""A user cannot give more than they hold and has no power over a user who holds more."""

import pytest
from msgspec.structs import replace

from core.histories import ACCOUNT, NOON, holding
from core.user_fixtures import ADA, BOB, NOW, OTHERS, after, born, command_of, create, itself
from counterfoil.core.principal import Actor, Owner, Principal, refuse_beyond
from counterfoil.core.refusals import BeyondCaller
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.user import decide
from counterfoil.core.subjects.user_commands import DisableUser, RemoveUser, UpdateUser
from counterfoil.core.subjects.user_events import ROLE_SCOPES, TotpEnrolled, UserUpdated


@pytest.mark.parametrize("command", OTHERS)
def test_a_user_has_no_power_over_a_user_who_holds_more(command: Command) -> None:
    user = after(born("auditor"), TotpEnrolled(recovery_codes=3))
    with pytest.raises(BeyondCaller):
        decide(user, replace(command, by=holding("users.*", *ROLE_SCOPES["operator"])), NOW)
    decide(user, replace(command, by=holding(*ROLE_SCOPES["auditor"])), NOW)


@pytest.mark.parametrize("command", OTHERS)
def test_a_caller_with_an_expiry_may_remove_and_gives_nothing_lasting(command: Command) -> None:
    passing = holding("all", expires_at=NOON)
    user = after(born(), TotpEnrolled(recovery_codes=3))
    if isinstance(command, DisableUser | RemoveUser):
        assert decide(user, replace(command, by=passing), NOW)
        return
    with pytest.raises(BeyondCaller):
        decide(user, replace(command, by=passing), NOW)


def test_a_caller_with_an_expiry_adds_no_user() -> None:
    with pytest.raises(BeyondCaller):
        decide(None, create(by=holding("all", expires_at=NOON)), NOW)


def test_a_user_gives_no_more_than_they_hold_even_to_themselves() -> None:
    operator = after(born("operator", "users.*"))
    for role in ("administrator", "auditor"):
        with pytest.raises(BeyondCaller):
            decide(None, create(by=itself(operator), role=role), NOW)
        with pytest.raises(BeyondCaller):
            decide(operator, command_of(UpdateUser, by=itself(operator), role=role), NOW)
    with pytest.raises(BeyondCaller):
        decide(operator, command_of(UpdateUser, by=itself(operator), scopes=("users.*", "invoices.read")), NOW)
    assert decide(operator, command_of(UpdateUser, by=itself(operator), scopes=()), NOW) == [UserUpdated(scopes=())]


def test_own_tokens_of_another_user_count_as_tokens_of_all() -> None:
    one, other = Owner("user", str(ADA)), Owner("user", str(BOB))
    member = Principal(actor=Actor("user", ADA), account=ACCOUNT, scopes=("own.*",), owner=one)
    refuse_beyond(member, ("own.read", "own.*"), owner=one)
    for wanted in ("own.read", "own.*"):
        with pytest.raises(BeyondCaller) as refused:
            refuse_beyond(member, (wanted,), owner=other)
        assert refused.value.facts == {"missing": [wanted]}
    for scopes in (("tokens.*", "users.read"), ("all",)):
        everywhere = replace(member, scopes=scopes)
        refuse_beyond(everywhere, ("own.read", "own.*"), owner=one)  # a caller who sees all tokens sees their own
        refuse_beyond(everywhere, ("own.read", "own.*"), owner=other)
    blind = replace(member, scopes=("tokens.*",))
    refuse_beyond(blind, ("own.read", "own.*"), owner=one)
    refuse_beyond(blind, ("own.rotate",), owner=other)
    refuse_beyond(blind, ("own.read", "own.*"), owner=Owner("service", "backup"))
    for wanted in ("own.read", "own.*"):  # they would show another user's tokens to a caller who may see none
        with pytest.raises(BeyondCaller):
            refuse_beyond(blind, (wanted,), owner=other)
    with pytest.raises(BeyondCaller):
        refuse_beyond(replace(member, scopes=("tokens.read",)), ("own.*",), owner=one)
    with pytest.raises(BeyondCaller):  # a token without an owner has no own tokens
        refuse_beyond(replace(member, owner=None), ("own.read",), owner=one)
    with pytest.raises(BeyondCaller):
        decide(None, create(of=BOB, by=replace(member, scopes=("own.*", "scopes.read"))), NOW)
