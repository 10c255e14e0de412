"""Rotating makes a new secret; the old one ends at once or after its grace, and no right grows."""

from typing import Any

import pytest
from msgspec.structs import replace

from core.histories import (
    CREATED,
    DAY,
    ENDS,
    HOUR,
    ITSELF,
    JTI,
    LATER,
    NEXT,
    NOON,
    SECOND,
    SUSPENDED,
    command_of,
    given,
    holding,
    rotated,
)
from counterfoil.core.refusals import (
    BadDuration,
    BadExpiry,
    BeyondCaller,
    Denied,
    LifetimeUnwanted,
    PreviousSecretEnded,
    PreviousSecretGood,
)
from counterfoil.core.subjects.token.acceptance import Context, good_until, refusal_for
from counterfoil.core.subjects.token.commands import Renew, Rotate, Update
from counterfoil.core.subjects.token.events import Exchanged, Renewed, Updated

GRACE_ENDS = NOON + HOUR
IN_GRACE = (CREATED, (NOON, rotated(2, GRACE_ENDS)))


def rotate(grace: int = 0, **fields: Any) -> Rotate:
    return command_of(Rotate, secret=NEXT, grace_seconds=grace, **fields)


def answer(history: tuple[Any, ...], generation: int, at: Any) -> str:
    found = refusal_for(given(*history).token, generation, at)
    assert found is None or isinstance(found, Denied)
    return type(found).__name__ if found else "good"


def test_without_a_grace_the_old_secret_ends_at_once() -> None:
    assert given(CREATED).when(rotate()) == [rotated(2, None)]
    history = (CREATED, (NOON, rotated(2, None)))
    assert answer(history, 1, NOON) == "SecretRetired"
    assert answer(history, 2, NOON) == "good"


def test_within_its_grace_the_old_secret_is_good() -> None:
    assert given(CREATED).when(rotate(3600)) == [rotated(2, GRACE_ENDS)]
    assert answer(IN_GRACE, 1, GRACE_ENDS - SECOND) == "good"
    assert answer(IN_GRACE, 2, GRACE_ENDS - SECOND) == "good"


def test_at_the_exact_end_of_the_grace_the_old_secret_has_ended() -> None:
    assert answer(IN_GRACE, 1, GRACE_ENDS) == "SecretRetired"
    assert answer(IN_GRACE, 2, GRACE_ENDS) == "good"


def test_at_most_two_generations_are_good_at_once() -> None:
    twice = (*IN_GRACE, (NOON, rotated(3, NOON + DAY)))
    assert [answer(twice, generation, NOON) for generation in (0, 1, 2, 3, 4)] == [
        "SecretRetired", "SecretRetired", "good", "good", "SecretRetired",
    ]  # fmt: skip


def test_rotating_without_a_grace_during_a_grace_ends_both_old_secrets() -> None:
    twice = (*IN_GRACE, (NOON, rotated(3, None)))
    assert [answer(twice, generation, NOON) for generation in (1, 2, 3)] == ["SecretRetired", "SecretRetired", "good"]


def test_a_second_rotation_within_a_grace_ends_the_first_secret_only_if_stated() -> None:
    with pytest.raises(PreviousSecretGood, match="ends_previous") as refused:
        given(*IN_GRACE).when(rotate(86_400), NOON + SECOND)
    assert refused.value.facts == {"until": GRACE_ENDS.isoformat()}
    with pytest.raises(PreviousSecretGood):
        given(*IN_GRACE).when(rotate(previous_until=NOON + DAY), NOON + SECOND)
    stated = given(*IN_GRACE).when(rotate(86_400, ends_previous=True), NOON + SECOND)
    assert stated == [replace(rotated(3, NOON + SECOND + DAY), ended_early=GRACE_ENDS)]


def test_a_rotation_without_a_grace_may_require_that_no_newer_secret_ends() -> None:
    assert given(*IN_GRACE).when(rotate(), NOON + SECOND) == [replace(rotated(3, None), ended_early=GRACE_ENDS)]


@pytest.mark.parametrize("stated", [True, False])
def test_a_rotation_after_a_grace_ends_nothing_early(stated: bool) -> None:
    after = given(*IN_GRACE).when(rotate(3600, ends_previous=stated), GRACE_ENDS)
    assert after == [rotated(3, GRACE_ENDS + HOUR)]
    ended_with_all_others = given(*IN_GRACE).when(rotate(3600, ends_previous=stated), NOON, Context(epoch=1))
    assert ended_with_all_others == [replace(rotated(3, GRACE_ENDS), epoch=1)]


def test_a_grace_never_outlives_the_token() -> None:
    history = (CREATED, (NOON, rotated(2, LATER)))
    assert answer(history, 1, ENDS) == "TokenExpired"
    assert good_until(given(*history).token, 1) == ENDS


def test_the_natural_end_of_a_secret_is_known() -> None:
    assert good_until(given(*IN_GRACE).token, 1) == GRACE_ENDS
    assert good_until(given(*IN_GRACE).token, 2) == ENDS
    endless = replace(CREATED, expires_at=None, lifetime=None)
    assert good_until(given(endless).token, 1) is None
    assert good_until(given(endless, rotated(2, GRACE_ENDS)).token, 1) == GRACE_ENDS


def test_rotating_changes_only_secret_and_grace() -> None:
    before, after = given(CREATED).token, given(CREATED).then(rotate(3600))
    grace = {"previous_until": GRACE_ENDS, "previous_hint": before.hint, "rotated_at": NOON, "grace_start": NOON}
    turned = replace(before, generation=2, hint=NEXT.hint, **grace)
    assert after == replace(turned, version=2, revision=2, at=NOON, updated_at=NOON)


def test_a_new_secret_belongs_to_the_present_epoch() -> None:
    (event,) = given(CREATED).when(rotate(3600), NOON, Context(epoch=3))
    token = given(CREATED, (NOON, event)).token
    assert (token.epoch, token.previous_epoch) == (3, 0)


@pytest.mark.parametrize("lifetime", [{"lifetime": "1h"}, {"lifetime": "forever"}, {"expires_at": LATER}])
def test_rotating_never_changes_the_expiry_of_an_active_token(lifetime: dict[str, Any]) -> None:
    for history in ((CREATED,), (CREATED, SUSPENDED)):
        with pytest.raises(LifetimeUnwanted):
            given(*history).when(rotate(**lifetime))


def test_rotating_an_expired_token_gives_a_new_secret_and_a_new_lifetime() -> None:
    renewed = Renewed(expired_at=ENDS, expires_at=LATER + DAY, lifetime="1d")
    assert given(CREATED).when(rotate(3600, lifetime="1d"), LATER) == [renewed, rotated(2, None)]


def test_the_secret_of_an_expired_token_never_revives_whatever_the_grace() -> None:
    token = given(CREATED).then(rotate(3600, lifetime="1d"), LATER)
    assert refusal_for(token, 2, LATER) is None
    assert type(refusal_for(token, 1, LATER)).__name__ == "SecretRetired"


def test_the_new_lifetime_of_an_expired_token_ends_in_the_future() -> None:
    with pytest.raises(BadExpiry):
        given(CREATED).when(rotate(expires_at=LATER), LATER)


@pytest.mark.parametrize("grace", [-1, 366 * 86_400 + 1, 2**63])
def test_a_grace_is_between_zero_and_a_leap_year(grace: int) -> None:
    with pytest.raises(BadDuration):
        given(CREATED).when(rotate(grace))
    assert given(CREATED).when(rotate(366 * 86_400)) == [rotated(2, NOON + 366 * DAY)]


def test_a_token_may_rotate_itself() -> None:
    assert given(CREATED).when(rotate(by=ITSELF)) == [rotated(2, None)]


def test_a_previous_secret_in_its_grace_cannot_fetch_the_new_one() -> None:
    outdated = holding("tokens.*", expires_at=GRACE_ENDS)
    with pytest.raises(BeyondCaller):
        given(*IN_GRACE).when(rotate(by=outdated))


@pytest.mark.parametrize("caller", [holding("mail.send"), holding("tokens.*", expires_at=NOON + DAY)])
def test_a_caller_cannot_get_the_secret_of_a_token_that_holds_more(caller: Any) -> None:
    with pytest.raises(BeyondCaller):
        given(CREATED).when(rotate(by=caller))


def test_a_caller_cannot_give_an_expired_token_a_longer_lifetime_than_its_own() -> None:
    caller = holding("tokens.*", expires_at=LATER + HOUR)
    with pytest.raises(BeyondCaller):
        given(CREATED).when(rotate(lifetime="1d", by=caller), LATER)
    given(CREATED).when(rotate(lifetime="1h", by=caller), LATER)


def test_renewing_during_a_grace_keeps_the_grace() -> None:
    assert given(*IN_GRACE).then(command_of(Renew, lifetime="1w")).previous_until == GRACE_ENDS


def test_a_rotation_resets_the_last_exchange_only_on_request() -> None:
    used = Exchanged(jti=JTI, generation=1, audience=(), scopes=(), expires_at=LATER)
    assert given(CREATED, (NOON, used)).then(rotate()).last_exchanged_at == NOON
    assert given(CREATED, (NOON, used)).then(rotate(forgets_use=True)).last_exchanged_at is None
    assert given(CREATED).when(rotate()) == [rotated(2, None)]


def test_the_end_of_a_grace_may_be_stated_as_a_moment() -> None:
    assert given(CREATED).when(rotate(previous_until=GRACE_ENDS), NOON) == [rotated(2, GRACE_ENDS)]
    for passed in (NOON, NOON - SECOND):
        assert given(CREATED).when(rotate(previous_until=passed), NOON) == [rotated(2, None)]
    with pytest.raises(BadExpiry):
        given(CREATED).when(rotate(previous_until=NOON + 367 * DAY), NOON)


def test_the_end_of_a_grace_can_be_moved_while_the_previous_secret_is_good() -> None:
    sooner, later = NOON + 10 * SECOND, GRACE_ENDS + HOUR
    for until in (sooner, later):
        moved = given(*IN_GRACE).when(command_of(Update, previous_until=until), NOON + SECOND)
        assert moved == [Updated(previous_until=until)]
        assert given(*IN_GRACE, (NOON + SECOND, moved[0])).token.previous_until == until
    ended = given(*IN_GRACE).when(command_of(Update, previous_until=NOON), NOON + SECOND)
    assert ended == [Updated(previous_until=None)]
    history = (*IN_GRACE, (NOON + SECOND, ended[0]))
    assert answer(history, 1, NOON + SECOND) == "SecretRetired"
    assert given(*IN_GRACE).when(command_of(Update, previous_until=GRACE_ENDS), NOON + SECOND) == []


@pytest.mark.parametrize("history", [(CREATED,), (CREATED, (NOON, rotated(2, None))), IN_GRACE])
def test_a_previous_secret_that_has_ended_cannot_be_revived(history: tuple[Any, ...]) -> None:
    with pytest.raises(PreviousSecretEnded):
        given(*history).when(command_of(Update, previous_until=LATER), GRACE_ENDS)


def test_a_previous_secret_ended_with_all_others_cannot_be_moved() -> None:
    with pytest.raises(PreviousSecretEnded):
        given(*IN_GRACE).when(command_of(Update, previous_until=LATER), NOON + SECOND, Context(epoch=1))


def test_a_revived_token_has_no_grace_even_if_a_moment_is_stated() -> None:
    events = given(CREATED).when(rotate(previous_until=LATER + DAY, lifetime="1w"), LATER)
    assert events[-1] == rotated(2, None)


def test_a_caller_that_ends_before_the_token_cannot_move_a_grace() -> None:
    caller = replace(holding("all"), expires_at=ENDS - SECOND)
    with pytest.raises(BeyondCaller):
        given(*IN_GRACE).when(command_of(Update, previous_until=LATER, by=caller), NOON + SECOND)


def test_a_grace_cannot_be_moved_past_a_year() -> None:
    with pytest.raises(BadExpiry):
        given(*IN_GRACE).when(command_of(Update, previous_until=NOON + 400 * DAY), NOON + SECOND)
