"""A secret is shown again under an idempotency key only to a caller who could be given it now."""

from typing import Any

import pytest
from msgspec.structs import replace

from core.histories import (
    ACCOUNT,
    ADMIN,
    CREATED,
    ENDS,
    HOUR,
    ITSELF,
    LATER,
    NEXT,
    NOON,
    REVOKED,
    SECRET,
    SUSPENDED,
    command_of,
    fact,
    given,
    holding,
    rotated,
)
from counterfoil.core.kinds import KIND_OF
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import BeyondCaller, Refusal, SecretNoLongerAvailable
from counterfoil.core.subjects.subject import SubjectState
from counterfoil.core.subjects.token.acceptance import ALONE, Context, good_until
from counterfoil.core.subjects.token.commands import Create, Rotate
from counterfoil.core.subjects.token.kind import TokenContext
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user import User, owner_of
from counterfoil.core.subjects.user_commands import ChangePassword, CreateUser
from counterfoil.core.subjects.user_events import UserCreated

TOKEN = given(CREATED).token
USER = User.created(fact(UserCreated(role="member"), version=1), role="member", scopes=("mail.send",))
GONE = SecretNoLongerAvailable


def create(by: Principal) -> Create:
    return command_of(Create, by=by, owner=Owner("application", "billing"), name="nightly", secret=SECRET)


def rotate(by: Principal) -> Rotate:
    return command_of(Rotate, by=by, secret=NEXT, grace_seconds=0)


def refusal(command: Any, state: Token | SubjectState | None, *, context: Context = ALONE, at: Any = NOON) -> object:
    """The kind of refusal; None if the secret may be shown."""
    try:
        kind = KIND_OF[type(command)]
        kind.refuse_replay(command, state, TokenContext(at=at, acceptance=context))
    except Refusal as refused:
        return type(refused)
    return None


@pytest.mark.parametrize("ask", [create, rotate])
def test_a_caller_who_could_be_given_the_secret_now_is_shown_it_again(ask: Any) -> None:
    assert refusal(ask(ADMIN), TOKEN) is None
    assert refusal(ask(holding("tokens.*", expires_at=ENDS)), TOKEN) is None


@pytest.mark.parametrize("ask", [create, rotate])
@pytest.mark.parametrize("caller", [holding("tokens.*", expires_at=ENDS - HOUR), holding("tokens.create")])
def test_a_caller_who_holds_less_than_the_token_is_not_shown_its_secret(ask: Any, caller: Principal) -> None:
    assert refusal(ask(caller), TOKEN) is BeyondCaller


@pytest.mark.parametrize(
    ("state", "context", "at", "created", "replaced"),
    [
        (given(CREATED, REVOKED).token, ALONE, NOON, GONE, GONE),
        (given(CREATED, SUSPENDED).token, ALONE, NOON, None, None),
        (TOKEN, ALONE, LATER, GONE, GONE),
        (TOKEN, Context(owner="disabled"), NOON, GONE, GONE),
        (TOKEN, Context(epoch=1), NOON, GONE, GONE),
        (None, ALONE, NOON, GONE, GONE),
    ],
)
def test_the_secret_of_an_ended_token_is_not_shown(
    state: Token | None, context: Context, at: Any, created: object, replaced: object
) -> None:
    assert refusal(create(ADMIN), state, context=context, at=at) is created
    assert refusal(rotate(ADMIN), state, context=context, at=at) is replaced


def test_a_token_that_rotated_itself_is_shown_the_result_again_during_its_grace() -> None:
    token = given(CREATED, rotated(2, NOON + HOUR)).token
    former = replace(ITSELF, generation=1, expires_at=good_until(token, 1))
    assert former.expires_at == NOON + HOUR
    assert refusal(rotate(former), token) is None


@pytest.mark.parametrize(
    "changes", [{"expires_at": NOON + HOUR / 2}, {"generation": 2}, {"actor": ADMIN.actor}, {"generation": None}]
)
def test_a_bearer_of_the_former_secret_and_other_callers_are_not_shown_it(changes: dict[str, Any]) -> None:
    token = given(CREATED, rotated(2, NOON + HOUR)).token
    former = replace(ITSELF, generation=1, expires_at=good_until(token, 1))
    assert refusal(rotate(replace(former, **changes)), token) is BeyondCaller


@pytest.mark.parametrize(
    ("caller", "state", "answer"),
    [
        (ADMIN, USER, None),
        (replace(ADMIN, expires_at=LATER), USER, BeyondCaller),
        (holding("users.*"), USER, BeyondCaller),
        (replace(ADMIN, actor=replace(ADMIN.actor, id=USER.id), scopes=(), owner=owner_of(USER.id)), USER, None),
        (ADMIN, replace(USER, status="removed"), GONE),
    ],
)
def test_a_password_is_shown_again_to_a_caller_who_could_set_one_now(
    caller: Principal, state: User, answer: object
) -> None:
    of: dict[str, Any] = {"account": ACCOUNT, "id": USER.id, "by": caller, "password_hash": ""}
    assert refusal(CreateUser(**of, number=1, email="ada@example.org", role="member"), state) is answer
    assert refusal(ChangePassword(**of), state) is answer
