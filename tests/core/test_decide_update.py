"""Updating, suspending, resuming, revoking, erasing: what changes, what stays, and which rights are needed."""

from typing import Any

import pytest
from msgspec.structs import replace

from core.histories import ADMIN, CREATED, ENDS, LATER, NOON, RESUMED, REVOKED, SUSPENDED, command_of, given, holding
from counterfoil.core.events import Private
from counterfoil.core.refusals import (
    AlreadyRevoked,
    BadMetadata,
    BadScope,
    BadText,
    BeyondCaller,
    Refusal,
    StaleRevision,
)
from counterfoil.core.secret import Minted
from counterfoil.core.subjects.token.commands import Erase, Renew, Resume, Revoke, Rotate, Suspend, TokenCommand, Update
from counterfoil.core.subjects.token.events import Erased, Revoked, Suspended, Updated

SHORT = {"expires_at": NOON}


def test_unstated_fields_stay() -> None:
    before = given(CREATED).token
    after = given(CREATED).then(command_of(Update, description="runs at night"))
    assert replace(before, description="runs at night", version=2, revision=2, at=NOON, updated_at=NOON) == after


@pytest.mark.parametrize(
    ("fields", "events"),
    [
        ({}, []),
        ({"name": "nightly", "description": "", "scopes": ("tokens.read",), "metadata": {}}, []),
        ({"name": "weekly"}, [Updated(private=Private(name="weekly"))]),
        ({"name": "nightly", "description": "x"}, [Updated(private=Private(description="x"))]),
        ({"metadata": {"a": "b"}}, [Updated(private=Private(metadata={"a": "b"}))]),
        ({"scopes": ()}, [Updated(scopes=())]),
        ({"scopes": ("a", "b", "a")}, [Updated(scopes=("a", "b"))]),
    ],
)
def test_an_update_event_names_only_changed_fields(fields: dict[str, Any], events: list[Updated]) -> None:
    assert given(CREATED).when(command_of(Update, **fields)) == events


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"name": " "}, BadText),
        ({"description": "\u2066"}, BadText),
        ({"metadata": {"": "v"}}, BadMetadata),
        ({"scopes": ("tokens.read ",)}, BadScope),
    ],
)
def test_an_update_follows_the_rules_of_creation(fields: dict[str, Any], refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        given(CREATED).when(command_of(Update, **fields))


def test_a_caller_cannot_edit_a_token_that_holds_more() -> None:
    with pytest.raises(BeyondCaller):
        given(CREATED).when(command_of(Update, name="mine", by=holding("mail.send")))


def test_a_caller_cannot_give_a_token_more_than_it_holds() -> None:
    with pytest.raises(BeyondCaller):
        given(CREATED).when(command_of(Update, scopes=("tokens.read", "mail.send"), by=holding("tokens.*")))


def test_a_caller_cannot_give_scopes_to_a_token_that_outlives_it() -> None:
    caller = holding("tokens.*", **SHORT)
    with pytest.raises(BeyondCaller):
        given(CREATED).when(command_of(Update, scopes=("tokens.read", "tokens.renew"), by=caller))
    for less in ((), ("tokens.read",)):
        given(CREATED).when(command_of(Update, name="weekly", scopes=less, by=caller))


def test_suspending_needs_no_reason() -> None:
    assert given(CREATED).when(command_of(Suspend)) == [Suspended()]
    assert given(CREATED).then(command_of(Suspend)).reason is None


def test_a_reason_is_text() -> None:
    for command in (command_of(Suspend, reason="\x1b[31m"), command_of(Revoke, reason="x" * 1001)):
        with pytest.raises(BadText):
            given(CREATED).when(command)


def test_removing_rights_needs_no_scopes() -> None:
    nobody = holding()
    assert given(CREATED).when(command_of(Suspend, by=nobody)) == [Suspended()]
    assert given(CREATED).when(command_of(Revoke, reason="leaked", by=nobody)) == [
        Revoked(private=Private(reason="leaked"))
    ]


@pytest.mark.parametrize("caller", [holding("mail.send"), holding("tokens.*", **SHORT)])
def test_a_caller_cannot_resume_a_token_that_holds_more(caller: Any) -> None:
    with pytest.raises(BeyondCaller):
        given(CREATED, SUSPENDED).when(command_of(Resume, by=caller))


def test_resuming_removes_the_reason_of_the_suspension() -> None:
    token = given(CREATED, SUSPENDED, RESUMED).token
    assert (token.status, token.reason) == ("active", None)


def test_erasing_blanks_only_names_and_free_text() -> None:
    created = replace(CREATED, private=Private(name="Ada's", description="of Ada", metadata={"who": "ada"}))
    before = given(created, SUSPENDED).token
    after = given(created, SUSPENDED).then(command_of(Erase))
    blank = replace(before, name=None, description="", metadata={}, reason=None)
    assert after == replace(blank, version=3, revision=3, at=NOON, updated_at=NOON)


def test_erasing_twice_writes_two_events_because_old_entries_may_still_have_names() -> None:
    assert given(CREATED, SUSPENDED, Erased(), RESUMED).when(command_of(Erase)) == [Erased()]


def test_an_erased_token_can_be_named_again() -> None:
    assert given(CREATED, Erased()).then(command_of(Update, name="new")).name == "new"


NEW_SECRET = Minted(b"", 1, "")
CHANGES: list[tuple[type[TokenCommand], dict[str, Any]]] = [
    (Update, {"name": "weekly"}), (Renew, {"lifetime": "1d"}), (Rotate, {"secret": NEW_SECRET, "grace_seconds": 0}),
    (Suspend, {}), (Resume, {}), (Revoke, {"reason": "r"}), (Erase, {}),
]  # fmt: skip


@pytest.mark.parametrize(("command", "fields"), CHANGES)
def test_if_match_requires_its_revision_for_every_change(command: type[TokenCommand], fields: Any) -> None:
    third = given(CREATED, SUSPENDED, RESUMED)
    for fitting in (None, frozenset({3}), frozenset({1, 3})):
        third.when(command_of(command, revisions=fitting, **fields))
    for stale in (frozenset[int](), frozenset({2}), frozenset({4})):
        with pytest.raises(StaleRevision) as refused:
            third.when(command_of(command, revisions=stale, **fields))
        assert refused.value.facts == {"revision": 3}


def test_a_stale_revision_is_refused_before_anything_else() -> None:
    with pytest.raises(StaleRevision):
        given(CREATED, REVOKED).when(command_of(Update, name="", revisions=frozenset({1})))
    with pytest.raises(AlreadyRevoked):
        given(CREATED, REVOKED).when(command_of(Update, name="", revisions=frozenset({2})))


def test_a_command_without_effect_still_requires_its_revision() -> None:
    with pytest.raises(StaleRevision):
        given(CREATED, SUSPENDED).when(command_of(Suspend, revisions=frozenset({1})))
    assert given(CREATED, SUSPENDED).when(command_of(Suspend, revisions=frozenset({2}))) == []


def test_a_command_without_effect_changes_nothing() -> None:
    for history, command in (
        ((CREATED, SUSPENDED), command_of(Suspend, reason="another one")),
        ((CREATED,), command_of(Resume)),
        ((CREATED, REVOKED), command_of(Revoke, reason="another one")),
    ):
        assert given(*history).then(command, LATER) == given(*history).token


def test_an_administrator_holds_everything_and_never_expires() -> None:
    assert ADMIN.expires_at is None
    assert given(CREATED).then(command_of(Update, scopes=("all",))).scopes == ("all",)
    assert given(CREATED).token.expires_at == ENDS
