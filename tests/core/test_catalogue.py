"""The scope catalogue: a name is one subject; it is described, removed and described again."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from msgspec.structs import replace

from core.deciding import decide
from core.histories import ACCOUNT, ADMIN, NOON, holding
from counterfoil.core.events import Event, Fact, Private, Subject
from counterfoil.core.kinds import KIND_OF, TYPE_OF, evolve
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BadLink, BadScope, BadText, BeyondCaller, NotFound, StaleRevision
from counterfoil.core.scopes import missing
from counterfoil.core.subjects.account import EndSecrets
from counterfoil.core.subjects.scope_catalogue import (
    DefineSet,
    DescribeScope,
    RemoveScope,
    RemoveSet,
    ScopeDescribed,
    ScopeRemoved,
    SetDefined,
    SetRemoved,
    decide_scope,
    decide_set,
    named,
)
from counterfoil.core.subjects.subject import Command, DecisionContext, SubjectState

NOW = DecisionContext(at=NOON)
ID = UUID(int=5)


def command_of(command: type[Command], *, by: Principal = ADMIN, **fields: Any) -> Command:
    return command(account=ACCOUNT, id=ID, by=by, **fields)


def after(*commands: Command) -> SubjectState | None:
    state: SubjectState | None = None
    for command in commands:
        for event in decide(state, command, NOW):
            version = state.version + 1 if state else 1
            fact = Fact(
                account=ACCOUNT, subject=Subject(KIND_OF[type(command)].name, ID), version=version,
                type=TYPE_OF[type(event)], at=NOON, by=ADMIN.actor, event=event,
            )  # fmt: skip
            state = evolve(state, fact)
    return state


def describe(sentence: str = "Read.", scope: str = "a.read", **fields: Any) -> Command:
    return command_of(DescribeScope, scope=scope, sentence=sentence, **fields)


def define(*scopes: str, sentence: str = "", name: str = "readers", **fields: Any) -> Command:
    return command_of(DefineSet, name=name, sentence=sentence, scopes=scopes, **fields)


LINK = "https://docs.example/a"


@pytest.mark.parametrize(
    ("before", "command", "events"),
    [
        ([], describe(), [ScopeDescribed(scope="a.read", private=Private(description="Read."))]),
        ([describe()], describe(), []),
        (
            [describe()],
            describe(documentation=LINK),
            [ScopeDescribed(scope="a.read", documentation=LINK, private=Private(description="Read."))],
        ),
        ([describe()], command_of(RemoveScope), [ScopeRemoved()]),
        (
            [describe(), command_of(RemoveScope)],
            describe(),
            [ScopeDescribed(scope="a.read", private=Private(description="Read."))],
        ),
        ([], define("a.b"), [SetDefined(scopes=("a.b",), private=Private(name="readers", description=""))]),
        ([define("a.b")], define("a.b", "a.b"), []),
        (
            [define("a.b")],
            define("c"),
            [SetDefined(scopes=("c",), private=Private(name="readers", description=""))],
        ),
        ([define("a.b")], command_of(RemoveSet), [SetRemoved()]),
    ],
)
def test_a_command_yields_its_events(before: list[Command], command: Command, events: list[Event]) -> None:
    assert decide(after(*before), command, NOW) == events


@pytest.mark.parametrize(
    ("before", "command", "refusal"),
    [
        ([], command_of(RemoveScope), NotFound),
        ([describe(), command_of(RemoveScope)], command_of(RemoveScope), NotFound),
        ([], command_of(RemoveSet), NotFound),
        ([define("a")], describe(), NotFound),
        ([describe()], describe("Other.", revisions=frozenset({7})), StaleRevision),
        ([describe()], command_of(RemoveScope, revisions=frozenset({7})), StaleRevision),
        ([define("a")], define("b", revisions=frozenset({7})), StaleRevision),
        ([], describe(scope="*"), BadScope),
        ([], describe("x\n"), BadText),
        ([], describe("x" * 501), BadText),
        ([], describe(documentation="ftp://docs.example"), BadLink),
        ([], describe(documentation="https://docs.example/\u202e"), BadText),
        ([], define(), BadScope),
        ([], define("a", sentence="\x00"), BadText),
    ],
)
def test_an_invalid_command_is_refused(before: list[Command], command: Command, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        decide(after(*before), command, NOW)


def test_removing_a_description_keeps_the_name_for_a_later_description() -> None:
    removed = after(describe(), command_of(RemoveScope))
    again = after(describe(), command_of(RemoveScope), describe("Again."))
    assert removed is not None
    assert again is not None
    assert (removed.name, removed.status, removed.revision) == ("a.read", "removed", 2)
    assert (again.name, again.status, again.revision) == ("a.read", "active", 3)


@pytest.mark.parametrize("event", [ScopeRemoved(), SetRemoved()])
def test_an_unknown_name_cannot_be_removed(event: Event) -> None:
    kind = "scope" if isinstance(event, ScopeRemoved) else "scope_set"
    fact = Fact(
        account=ACCOUNT, subject=Subject(kind, ID), version=1, type="removed", at=NOON, by=ADMIN.actor, event=event
    )
    with pytest.raises(ValueError, match="cannot come here"):
        evolve(None, fact)


@drawn(st.uuids(), st.text(), st.text())
def test_a_name_is_one_subject_of_its_account_and_kind(account: UUID, one: str, other: str) -> None:
    first = named(account, "scope", one)
    assert (first.version, first.variant) == (8, "specified in RFC 4122")
    assert first == named(account, "scope", one)
    assert first != named(account, "scope_set", one)
    assert first != named(UUID(int=account.int ^ 1), "scope", one)
    assert (first == named(account, "scope", other)) == (one == other)


@pytest.mark.parametrize("decides", [decide_scope, decide_set])
def test_a_command_of_another_kind_is_a_bug(decides: Callable[..., list[Event]]) -> None:
    with pytest.raises(TypeError):
        decides(None, command_of(EndSecrets, reason="x"), NOW)


@pytest.mark.parametrize(("kind", "event"), [("scope", ScopeRemoved()), ("scope_set", SetRemoved())])
def test_an_impossible_event_is_a_broken_log(kind: str, event: Event) -> None:
    subject = Subject(kind, ID)
    fact = Fact(account=ACCOUNT, subject=subject, version=1, type="removed", at=NOON, by=ADMIN.actor, event=event)
    with pytest.raises(ValueError, match="cannot come here"):
        evolve(None, fact)


def test_a_removed_set_can_be_defined_again() -> None:
    again = after(define("a.read"), command_of(RemoveSet), define("b.read"))
    assert again is not None
    assert (again.status, again.version) == ("active", 3)


SCOPES = st.lists(st.sampled_from(["a.read", "a.*", "b", "all", "tokens.read", "tokens.*"]), min_size=1, max_size=3)
CHANGES = st.one_of(SCOPES.map(lambda scopes: define(*scopes)), st.just(command_of(RemoveSet)))


@drawn(before=SCOPES, change=CHANGES, held=SCOPES, removed=st.booleans())
def test_a_caller_who_changes_a_set_holds_all_its_scopes_before_and_after(
    before: list[str], change: Command, held: list[str], *, removed: bool
) -> None:
    state = after(define(*before), *([command_of(RemoveSet)] if removed else []))
    try:
        changed = decide(state, replace(change, by=holding(*held)), NOW)
    except BeyondCaller:
        return
    except NotFound:
        assert removed
        return
    present = [] if removed else before
    assert missing(held, (*present, *(scope for event in changed for scope in getattr(event, "scopes", ())))) == ()


@pytest.mark.parametrize(
    ("scopes", "held", "refused"),
    [
        (("payroll.read", "all"), ("scopes.update",), True),
        (("payroll.read",), ("scopes.update", "payroll.*"), False),
        (("own.read",), ("scopes.update", "own.*"), True),  # held by others, the set would be about their tokens
        (("own.read",), ("tokens.read", "users.read"), False),
        (("self.rotate",), ("own.rotate",), True),
        (("self.rotate",), ("tokens.rotate",), False),
    ],
)
def test_an_editor_adds_no_scope_to_a_set_that_they_do_not_hold(
    scopes: tuple[str, ...], held: tuple[str, ...], *, refused: bool
) -> None:
    command = define(*scopes, by=holding(*held))
    if not refused:
        assert decide(None, command, NOW) != []
        return
    with pytest.raises(BeyondCaller):
        decide(None, command, NOW)


@pytest.mark.parametrize(
    "name",
    ["administrator", "Members", "admin\u200bistrator", "ADMINI-STRATOR", "operator", "verifier", "all", "tokens",
     "tokens.*", "Tokens.Read", "own", "\uff41\uff4c\uff4c"],
)  # fmt: skip
def test_a_name_that_looks_like_a_role_or_a_scope_is_reserved(name: str) -> None:
    with pytest.raises(BadText, match="billing"):
        decide(None, define("a.read", name=name), NOW)


@pytest.mark.parametrize("name", ["billing", "readers", "allotment", "payroll.read", "Account managers", "🧾"])
def test_other_names_are_not_reserved(name: str) -> None:
    assert decide(None, define("a.read", name=name), NOW) != []
