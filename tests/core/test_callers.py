"""The caller is checked again at the decision, with the rights it has at that moment."""

import pytest
from msgspec.structs import replace

from core.histories import ADMIN, CREATED, ENDS, ITSELF, NOON, REVOKED, SECOND, SUSPENDED, fact, given
from counterfoil.core.caller_recheck import TokenCaller, UserCaller
from counterfoil.core.refusals import (
    CallerChanged,
    CallerGone,
    OwnerDisabled,
    SecretEnded,
    TokenExpired,
    TokenRevoked,
    TokenSuspended,
)
from counterfoil.core.subjects.token.acceptance import ALONE, Context
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user import User
from counterfoil.core.subjects.user_events import UserCreated


class Held:
    """A row of a look-up: a token and its context."""

    def __init__(self, token: Token, context: Context = ALONE) -> None:
        self.token, self.context = token, context

    def __getattr__(self, name: str) -> object:
        return getattr(self.token, name)


def asking(token: Token, context: Context = ALONE) -> TokenCaller:
    return TokenCaller(Held(token, context))  # type: ignore[arg-type] # it has all of a token


def test_a_token_acts_while_it_holds_all_that_it_had_at_the_door() -> None:
    token = replace(given(CREATED).token, scopes=("tokens.read", "mail.send"))
    asking(token).refuse_reduced(replace(ITSELF, scopes=("mail.send",)), NOON)
    with pytest.raises(CallerChanged):
        asking(token).refuse_reduced(replace(ITSELF, scopes=("tokens.read", "tokens.revoke")), NOON)


def test_a_token_whose_bounds_were_narrowed_meanwhile_retries() -> None:
    narrowed = replace(given(CREATED).token, networks=("192.0.2.0/24",))
    with pytest.raises(CallerChanged):
        asking(narrowed).refuse_reduced(ITSELF, NOON)
    asking(narrowed).refuse_reduced(replace(ITSELF, scopes=("tokens.read",), bounds=narrowed.bounds), NOON)


@pytest.mark.parametrize(
    ("token", "context", "refusal"),
    [
        (given(CREATED, REVOKED).token, ALONE, TokenRevoked),
        (given(CREATED, SUSPENDED).token, ALONE, TokenSuspended),
        (given(CREATED).token, Context(owner="disabled"), OwnerDisabled),
        (given(CREATED).token, Context(owner="removed"), OwnerDisabled),
        (given(CREATED).token, Context(epoch=1), SecretEnded),
    ],
)
def test_a_token_that_ended_meanwhile_is_refused(token: Token, context: Context, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        asking(token, context).refuse_reduced(ITSELF, NOON)


def test_a_token_acts_with_the_generation_that_it_presented() -> None:
    token = replace(given(CREATED).token, generation=3)
    asking(token).refuse_reduced(replace(ITSELF, scopes=(), generation=3), NOON)
    with pytest.raises(Exception, match="replaced"):
        asking(token).refuse_reduced(replace(ITSELF, generation=1), NOON)
    with pytest.raises(TokenExpired):
        asking(token).refuse_reduced(ITSELF, ENDS)


def test_a_bearer_acts_until_its_own_expiry() -> None:
    token, bearer = given(CREATED).token, replace(ITSELF, scopes=(), expires_at=NOON)
    asking(token).refuse_reduced(bearer, NOON - SECOND)
    with pytest.raises(TokenExpired):
        asking(token).refuse_reduced(bearer, NOON)


def asked(status: str, *held: str, generation: int = 1) -> UserCaller:
    """A user who holds exactly these scopes, since their role gives none."""
    user = User.created(fact(UserCreated(role="member"), version=1), role="member", scopes=held, generation=generation)
    return UserCaller(replace(user, status=status))


def test_a_user_acts_only_with_their_present_password() -> None:
    by = replace(ADMIN, scopes=(), generation=1)
    asked("active", generation=1).refuse_reduced(by, NOON)
    with pytest.raises(CallerGone):
        asked("active", generation=2).refuse_reduced(by, NOON)


def test_a_user_acts_while_they_hold_all_that_they_had_at_the_door() -> None:
    asked("active", "all").refuse_reduced(ADMIN, NOON)
    asked("active", "all").refuse_reduced(replace(ADMIN, scopes=("own.read",)), NOON)
    for left in (("mail.send",), ()):
        with pytest.raises(CallerChanged):
            asked("active", *left).refuse_reduced(replace(ADMIN, scopes=("own.read", "tokens.read")), NOON)


@pytest.mark.parametrize("status", ["disabled", "removed"])
def test_a_removed_user_is_refused(status: str) -> None:
    with pytest.raises(CallerGone):
        asked(status, "all").refuse_reduced(ADMIN, NOON)
