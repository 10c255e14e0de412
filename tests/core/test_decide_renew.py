"""Renewing moves the expiry and keeps the secret; no token renews itself."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from core.histories import (
    ANOTHER,
    BORN,
    CREATED,
    DAY,
    ENDS,
    HOUR,
    ITSELF,
    LATER,
    NOON,
    SUSPENDED,
    command_of,
    given,
    holding,
    rotated,
)
from counterfoil.core.refusals import BadDuration, BadExpiry, BeyondCaller, NothingToRenew, Refusal, RenewsItself
from counterfoil.core.subjects.token.acceptance import refusal_for
from counterfoil.core.subjects.token.commands import Renew
from counterfoil.core.subjects.token.events import Expired, Expiring, Renewed

ENDLESS = replace(CREATED, lifetime=None, expires_at=None)


def test_a_stated_lifetime_counts_from_now() -> None:
    moved = Renewed(expired_at=ENDS, expires_at=NOON + 2 * HOUR, lifetime="2h")
    assert given(CREATED).when(command_of(Renew, lifetime="2h")) == [moved]


def test_a_stated_expiry_replaces_the_lifetime() -> None:
    token = given(CREATED).then(command_of(Renew, expires_at=LATER))
    assert (token.expires_at, token.lifetime) == (LATER, None)


def test_a_stated_expiry_may_keep_the_lifetime_for_later_renewals() -> None:
    moved = given(CREATED).then(command_of(Renew, expires_at=LATER, keeps_lifetime=True))
    assert (moved.expires_at, moved.lifetime) == (LATER, CREATED.lifetime)
    stated = given(CREATED).then(command_of(Renew, lifetime="2h", keeps_lifetime=True))
    assert stated.lifetime == "2h"


def test_without_a_stated_time_a_token_is_renewed_for_its_own_lifetime() -> None:
    token = given(CREATED).then(command_of(Renew))
    assert (token.expires_at, token.lifetime) == (NOON + 90 * DAY, "90d")


@pytest.mark.parametrize("created", [ENDLESS, replace(ENDLESS, lifetime="forever"), replace(CREATED, lifetime=None)])
def test_a_token_without_a_lifetime_needs_a_stated_one(created: Any) -> None:
    with pytest.raises(NothingToRenew):
        given(created).when(command_of(Renew))
    assert given(created).then(command_of(Renew, lifetime="1d")).expires_at == NOON + DAY


def test_renewing_keeps_secret_grace_and_scopes() -> None:
    story = given(CREATED, rotated(2, LATER))
    before, after = story.token, story.then(command_of(Renew, lifetime="1w"))
    kept = replace(
        before, expires_at=after.expires_at, lifetime="1w", lifetime_start=NOON, next_due_at=after.next_due_at
    )
    assert replace(kept, version=3, revision=3, at=NOON, updated_at=NOON) == after


def test_a_renewed_token_gets_its_expiry_notices_again() -> None:
    warned = (CREATED, (ENDS - DAY, Expiring(threshold=86_400, expires_at=ENDS)))
    token = given(*warned).then(command_of(Renew), ENDS - HOUR)
    assert token.announced is None
    assert token.next_due_at == ENDS - HOUR + 90 * DAY - 30 * DAY


def test_a_token_renewed_forever_is_not_swept() -> None:
    token = given(CREATED).then(command_of(Renew, lifetime="forever"))
    assert (token.expires_at, token.next_due_at) == (None, None)


def test_renewing_may_shorten_a_lifetime_to_any_future_moment() -> None:
    assert given(CREATED).then(command_of(Renew, expires_at=NOON + HOUR)).expires_at == NOON + HOUR


@pytest.mark.parametrize("history", [(CREATED,), (CREATED, (ENDS, Expired(expires_at=ENDS))), (CREATED, SUSPENDED)])
def test_a_token_cannot_be_renewed_to_a_past_moment(history: Any) -> None:
    for at, gone in ((LATER, ENDS), (LATER, LATER), (ENDS - HOUR, BORN)):
        with pytest.raises(BadExpiry, match="has passed"):
            given(*history).when(command_of(Renew, expires_at=gone), at)
    assert refusal_for(given(CREATED).then(command_of(Renew, expires_at=LATER + HOUR), LATER), 1, LATER) is None


@pytest.mark.parametrize("lifetime", [{}, {"lifetime": "1h"}, {"lifetime": "forever"}, {"expires_at": NOON + HOUR}])
def test_a_token_cannot_renew_itself_even_to_a_shorter_lifetime(lifetime: dict[str, Any]) -> None:
    with pytest.raises(RenewsItself):
        given(CREATED).when(command_of(Renew, **lifetime, by=ITSELF))


def test_another_token_may_renew_it() -> None:
    assert given(CREATED).then(command_of(Renew, by=ANOTHER)).expires_at == NOON + 90 * DAY


def test_a_caller_cannot_revive_a_scope_that_it_lacks() -> None:
    with pytest.raises(BeyondCaller):
        given(CREATED).when(command_of(Renew, by=holding("mail.send")))


@pytest.mark.parametrize("lifetime", [{}, {"lifetime": "forever"}, {"lifetime": "2d"}])
def test_a_caller_gives_no_longer_lifetime_than_its_own(lifetime: dict[str, Any]) -> None:
    caller = holding("tokens.*", expires_at=NOON + DAY)
    with pytest.raises(BeyondCaller):
        given(CREATED).when(command_of(Renew, **lifetime, by=caller))
    assert given(CREATED).then(command_of(Renew, lifetime="1d", by=caller)).expires_at == caller.expires_at


@pytest.mark.parametrize(
    ("lifetime", "refusal"),
    [
        ({"lifetime": "0h"}, BadDuration),
        ({"lifetime": "-1h"}, BadDuration),
        ({"lifetime": ""}, BadDuration),
        ({"lifetime": "999999999999999999w"}, BadDuration),
        ({"lifetime": "1h", "expires_at": LATER}, BadExpiry),
        ({"expires_at": datetime(9999, 12, 31, tzinfo=UTC)}, BadExpiry),
    ],
)
def test_an_invalid_lifetime_is_refused(lifetime: dict[str, Any], refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        given(CREATED).when(command_of(Renew, **lifetime))
