"""The audit compares an API document with a state and names each field that differs."""

from types import SimpleNamespace
from typing import Any

import pytest

from core.histories import ACCOUNT, ADMIN, BORN, CREATED, DAY, ENDS, HOUR, NOON, REVOKED, SECOND, SUSPENDED, given
from counterfoil.core.events import Event, Fact, Subject
from counterfoil.core.kinds import evolve
from counterfoil.core.principal import NIL, Actor
from counterfoil.core.subjects.access import Read
from counterfoil.core.subjects.account import AccountCreated, Policy, PolicyChanged, SecretsEnded
from counterfoil.core.subjects.bulk_revocation import (
    BulkRevocationAccepted,
    BulkRevocationFinished,
    BulkRevocationStarted,
    Children,
)
from counterfoil.core.subjects.scope_catalogue import ScopeDescribed, ScopeRemoved, SetDefined, SetRemoved
from counterfoil.core.subjects.subject import SubjectState
from counterfoil.core.subjects.token.acceptance import ALONE, Context
from counterfoil.core.subjects.token.events import Rotated
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user_events import TotpEnrolled, UserCreated, UserRemoved
from counterfoil.uses.audit.expected_documents import LEEWAY, Difference, differences, expected, is_listed


def small(kind: str, *events: Event) -> SubjectState:
    """The state of a small subject after these events."""
    state: SubjectState | None = None
    for version, event in enumerate(events, 1):
        fact = Fact(
            account=ACCOUNT, subject=Subject(kind, NIL), version=version, type="", at=BORN, by=ADMIN.actor, event=event
        )
        state = evolve(state, fact)
    assert state is not None
    return state


def document(shown: dict[str, object]) -> SimpleNamespace:
    """What the client returns for a response with this document."""
    made: dict[str, Any] = {}
    for name, value in shown.items():
        whole, _, part = name.partition(".")
        if part:
            made.setdefault(whole, SimpleNamespace()).__dict__[part] = value
        else:
            made[whole] = value
    return SimpleNamespace(**made)


TOKEN = given(CREATED).token
STATES: list[Token | SubjectState] = [
    TOKEN,
    small("account", AccountCreated(private=CREATED.private)),
    small("account", AccountCreated(), PolicyChanged(policy=Policy(thresholds=(604_800,), catalogue_closed=True))),
    small("user", UserCreated(number=1, role="member", private=CREATED.private), TotpEnrolled(recovery_codes=10)),
    small("scope", ScopeDescribed(scope="mail.send", private=CREATED.private)),
    small("scope_set", SetDefined(scopes=("mail.send",), private=CREATED.private)),
    small("bulk_revocation", BulkRevocationAccepted(plan="ab", total=2)),
    small("bulk_revocation", BulkRevocationAccepted(plan="ab", total=2, children=Children()), BulkRevocationStarted()),
    small(
        "bulk_revocation",
        BulkRevocationAccepted(plan="ab", total=2),
        BulkRevocationStarted(),
        BulkRevocationFinished(revoked=1, failed=1),
    ),
]


@pytest.mark.parametrize("state", STATES)
def test_a_document_that_matches_its_state_has_no_differences(state: Token | SubjectState) -> None:
    assert differences(state, document(expected(state, NOON)), NOON) == []


@pytest.mark.parametrize(
    ("state", "field"), [(state, field) for state in STATES for field in expected(state, NOON)], ids=str
)
def test_a_field_that_differs_is_named(state: Token | SubjectState, field: str) -> None:
    shown = expected(state, NOON)
    lie = document({**shown, field: "a lie"})
    assert differences(state, lie, NOON) == [Difference(field, "a lie", shown[field])]


def test_a_policy_is_shown_in_words() -> None:
    shown = expected(STATES[2], NOON)
    assert (shown["policy.notices"], shown["policy.catalogue_closed"]) == (("7d",), True)
    ended = small("account", AccountCreated(), SecretsEnded())
    assert expected(ended, NOON)["valid_after"] == BORN


def test_the_count_of_a_bulk_revocation_is_known_when_it_is_over() -> None:
    assert "revoked" not in expected(STATES[-2], NOON)
    assert (expected(STATES[-1], NOON)["revoked"], expected(STATES[-1], NOON)["failed"]) == (1, 1)


def test_values_from_missing_private_parts_are_not_compared() -> None:
    lie = document({**expected(TOKEN, NOON), "name": "a lie", "description": "a lie", "revision": 9})
    assert [each.field for each in differences(TOKEN, lie, NOON, private=False)] == ["revision"]


@pytest.mark.parametrize(
    ("events", "context", "status", "refused"),
    [
        ((), ALONE, "active", None),
        ((SUSPENDED,), ALONE, "suspended", "token-suspended"),
        ((REVOKED,), ALONE, "revoked", "token-revoked"),
        ((), Context(epoch=1), "active", "secret-ended"),
        ((), Context(owner="disabled", owner_holds=("own.*",)), "active", "owner-disabled"),
    ],
)
def test_status_and_problem_match_the_ledger(
    events: tuple[Event, ...], context: Context, status: str, refused: str | None
) -> None:
    shown = expected(given(CREATED, *events).token, NOON, context)
    assert (shown["status"], shown["refused"]) == (status, refused)


def test_a_token_does_only_what_its_owner_may_do() -> None:
    context = Context(owner_holds=("mail.send",))
    assert expected(TOKEN, NOON)["effective_scopes"] == ("tokens.read",)
    assert expected(TOKEN, NOON, context)["effective_scopes"] == ()


@pytest.mark.parametrize(
    ("when", "admitted"),
    [
        (ENDS - LEEWAY - SECOND, {"active"}),
        (ENDS - LEEWAY, {"active", "expired"}),
        (ENDS, {"active", "expired"}),
        (ENDS + LEEWAY, {"expired"}),
    ],
)
def test_clocks_may_differ_about_an_expiry(when: Any, admitted: set[str]) -> None:
    named = {"active": None, "expired": "token-expired"}
    shown = expected(TOKEN, NOON)
    lies = {
        status: differences(TOKEN, document({**shown, "status": status, "refused": refused}), when)
        for status, refused in named.items()
    }
    assert {status for status, found in lies.items() if not found} == admitted


def test_a_previous_secret_is_shown_while_it_is_good() -> None:
    rotated = Rotated(generation=2, previous_until=NOON + HOUR, hint="cfl_app_Cd34")
    token = given(CREATED, rotated).token
    assert expected(token, NOON)["previous_secret_until"] == NOON + HOUR
    assert expected(token, NOON + DAY)["previous_secret_until"] is None
    assert expected(given(CREATED, rotated, REVOKED).token, NOON)["previous_secret_until"] is None
    assert expected(TOKEN, NOON)["previous_secret_until"] is None


def test_lists_omit_only_removed_entries() -> None:
    assert all(map(is_listed, STATES))
    assert is_listed(given(CREATED, REVOKED).token)
    assert is_listed(small("user", UserCreated(role="member"), UserRemoved()))
    assert not is_listed(small("scope", ScopeDescribed(scope="mail.send"), ScopeRemoved()))
    assert not is_listed(small("scope_set", SetDefined(scopes=("mail.send",)), SetRemoved()))


def test_a_kind_that_the_api_does_not_show_is_recognised() -> None:
    log = small("access", Read(reader=Actor("user", NIL), calls={}, rows=0, tokens=(), seconds=0))
    with pytest.raises(TypeError, match="nothing of an Access"):
        expected(log, NOON)
