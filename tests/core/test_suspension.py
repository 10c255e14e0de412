"""The caller who suspended a token determines who may resume it."""

from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st
from msgspec.structs import replace

from core.histories import ADMIN, ANOTHER, CREATED, NEXT, SUSPENDED, command_of, given
from counterfoil.core.events import Event, Private
from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.refusals import BeyondCaller
from counterfoil.core.subjects.token.commands import Renew, Resume, Rotate, Suspend, Update
from counterfoil.core.subjects.token.events import Created, Resumed, Suspended

ADA = Owner("user", "ada")
BORN: Created = replace(CREATED, owner=ADA, scopes=("mail.send",))
ITS_OWNER = Principal(
    actor=Actor("token", ANOTHER.actor.id), account=ADMIN.account, scopes=("own.*", "mail.send"), owner=ADA
)
CHIEF = replace(ITS_OWNER, scopes=("all",))
MANAGER = replace(ANOTHER, scopes=("tokens.*", "mail.send"))
BY_OWNER = Suspended(by_owner=True)


def test_an_owner_resumes_a_token_that_they_suspended() -> None:
    assert given(BORN).when(command_of(Suspend, by=ITS_OWNER)) == [BY_OWNER]
    assert given(BORN, BY_OWNER).when(command_of(Resume, by=ITS_OWNER)) == [Resumed()]


@pytest.mark.parametrize("power", [ADMIN, MANAGER, CHIEF])
def test_an_owner_cannot_resume_a_token_that_an_administrator_suspended(power: Principal) -> None:
    suspended = given(BORN).when(command_of(Suspend, by=power))
    assert suspended == [Suspended()]
    with pytest.raises(BeyondCaller) as refused:
        given(BORN, *suspended).when(command_of(Resume, by=ITS_OWNER))
    assert refused.value.facts == {"missing": ["tokens.resume"]}
    assert given(BORN, *suspended).when(command_of(Resume, by=power)) == [Resumed()]


def test_an_owner_cannot_resume_a_token_suspended_before_suspenders_were_recorded() -> None:
    with pytest.raises(BeyondCaller):
        given(BORN, SUSPENDED).when(command_of(Resume, by=ITS_OWNER))


def test_a_suspension_by_an_administrator_replaces_that_of_the_owner() -> None:
    twice = given(BORN, BY_OWNER).when(command_of(Suspend, by=ADMIN, reason="leaked"))
    assert twice == [Suspended(private=Private(reason="leaked"))]
    with pytest.raises(BeyondCaller):
        given(BORN, BY_OWNER, *twice).when(command_of(Resume, by=ITS_OWNER))


def test_a_suspension_by_the_owner_replaces_no_other() -> None:
    assert given(BORN, SUSPENDED).when(command_of(Suspend, by=ITS_OWNER)) == []
    assert given(BORN, BY_OWNER).when(command_of(Suspend, by=ITS_OWNER)) == []


def test_an_owner_with_the_right_to_resume_also_resumes_other_suspensions() -> None:
    resumes = replace(ITS_OWNER, scopes=("own.*", "tokens.resume", "mail.send"))
    assert given(BORN, SUSPENDED).when(command_of(Resume, by=resumes)) == [Resumed()]


def test_a_resumed_token_may_be_suspended_and_resumed_by_its_owner_again() -> None:
    again = given(BORN, SUSPENDED, Resumed())
    assert not again.token.suspended_by_owner
    assert again.then(command_of(Suspend, by=ITS_OWNER)).suspended_by_owner


@pytest.mark.parametrize(
    "change", [command_of(Renew, lifetime="1d", by=ITS_OWNER), command_of(Update, name="weekly", by=ITS_OWNER),
               command_of(Rotate, secret=NEXT, grace_seconds=60, by=ITS_OWNER)]
)  # fmt: skip
def test_an_owner_cannot_avoid_a_suspension_by_another_change(change: Any) -> None:
    changed = given(BORN, SUSPENDED).then(change)
    assert (changed.status, changed.suspended_by_owner) == ("suspended", False)


@examples(st.lists(st.tuples(st.sampled_from([Suspend, Resume]), st.sampled_from([ITS_OWNER, ADMIN])), max_size=12))
def test_no_sequence_of_an_owners_commands_ends_an_administrators_suspension(
    steps: list[tuple[Any, Principal]],
) -> None:
    history: list[Event] = [BORN]
    barred = False
    for command, by in steps:
        try:
            history += given(*history).when(command_of(command, by=by))
        except BeyondCaller:
            assert barred
            assert (command, by) == (Resume, ITS_OWNER)
        if by is ADMIN:
            barred = command is Suspend
        assert not barred or given(*history).token.status == "suspended"
