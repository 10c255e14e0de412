"""Callers are asked again where it is decided: as they stand then, not as they came in."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from counterfoil.callers import TokenAsking, UserAsking
from counterfoil.refusals import CallerGone, OwnerDisabled, SecretEnded, TokenExpired, TokenRevoked, TokenSuspended
from counterfoil.token import ALONE, Surroundings, Token
from pure.stories import ADMIN, CREATED, ENDS, ITSELF, NOON, REVOKED, SECOND, SUSPENDED, given


class Held:
    """A look-up's row: a token, and what surrounds it."""

    def __init__(self, token: Token, around: Surroundings = ALONE) -> None:
        self.token, self.around = token, around

    def __getattr__(self, name: str) -> object:
        return getattr(self.token, name)


def asking(token: Token, around: Surroundings = ALONE) -> TokenAsking:
    return TokenAsking(Held(token, around))  # type: ignore[arg-type] # it has all of a token


def test_a_token_that_is_good_asks_with_what_it_still_holds() -> None:
    token = replace(given(CREATED).token, scopes=("tokens.read", "mail.send"))
    by = replace(ITSELF, scopes=("tokens.read", "tokens.revoke"))
    assert asking(token).narrowed(by, NOON) == replace(by, scopes=("tokens.read",))
    same = replace(ITSELF, scopes=("mail.send",))
    assert asking(token).narrowed(same, NOON) is same


@pytest.mark.parametrize(
    ("token", "around", "refusal"),
    [
        (given(CREATED, REVOKED).token, ALONE, TokenRevoked),
        (given(CREATED, SUSPENDED).token, ALONE, TokenSuspended),
        (given(CREATED).token, Surroundings(owner="disabled"), OwnerDisabled),
        (given(CREATED).token, Surroundings(owner="removed"), OwnerDisabled),
        (given(CREATED).token, Surroundings(valid_after=NOON), SecretEnded),
    ],
)
def test_a_token_that_ended_meanwhile_asks_for_nothing(
    token: Token, around: Surroundings, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        asking(token, around).narrowed(ITSELF, NOON)


def test_a_token_asks_with_the_generation_that_it_came_with() -> None:
    token = replace(given(CREATED).token, generation=3)
    asking(token).narrowed(replace(ITSELF, scopes=(), generation=3), NOON)
    with pytest.raises(Exception, match="replaced"):
        asking(token).narrowed(replace(ITSELF, generation=1), NOON)
    with pytest.raises(TokenExpired):
        asking(token).narrowed(ITSELF, ENDS)


def test_a_bearer_asks_until_its_own_end() -> None:
    token, bearer = given(CREATED).token, replace(ITSELF, scopes=(), expires_at=NOON)
    assert asking(token).narrowed(bearer, NOON - SECOND) is bearer
    with pytest.raises(TokenExpired):
        asking(token).narrowed(bearer, NOON)


def test_a_user_asks_with_what_is_left_of_their_role() -> None:
    assert UserAsking("active", ("all",)).narrowed(ADMIN, NOON) is ADMIN
    assert UserAsking("active", ("own.*",)).narrowed(ADMIN, NOON) == replace(ADMIN, scopes=())
    wide = replace(ADMIN, scopes=("own.read", "tokens.read"))
    assert UserAsking("active", ("own.*",)).narrowed(wide, NOON).scopes == ("own.read",)


@pytest.mark.parametrize("standing", ["disabled", "removed"])
def test_a_user_who_is_gone_asks_for_nothing(standing: str) -> None:
    with pytest.raises(CallerGone):
        UserAsking(standing, ("all",)).narrowed(ADMIN, NOON)


def test_narrowing_never_gives_anything() -> None:
    poor = replace(ADMIN, scopes=("own.read",), account=UUID(int=5))
    assert UserAsking("active", ("all",)).narrowed(poor, NOON) is poor
