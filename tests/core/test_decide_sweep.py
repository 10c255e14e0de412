"""The sweep announces a coming expiry and the expiry itself once each, however late or often it runs."""

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from core.histories import (
    BORN,
    CREATED,
    DAY,
    ENDS,
    HOUR,
    LATER,
    REVOKED,
    SECOND,
    SUSPENDED,
    THRESHOLDS,
    command_of,
    fact,
    given,
)
from counterfoil.core.events import Event, Private
from counterfoil.core.subjects.token.acceptance import Context
from counterfoil.core.subjects.token.commands import Renew, Sweep
from counterfoil.core.subjects.token.events import Created, Expired, Expiring, Revoked
from counterfoil.core.subjects.token.state import evolve, pending

SWEEP = command_of(Sweep)
EXPIRED = Expired(expires_at=ENDS)


def notice(days: int) -> Expiring:
    return Expiring(threshold=days * 86_400, expires_at=ENDS)


def swept(created: Created, *moments: datetime) -> list[tuple[datetime, Event]]:
    """The events of a sweep at each of these moments."""
    story, said = given(created), []
    for at in moments:
        for event in story.when(SWEEP, at):
            story.state = evolve(story.token, fact(event, version=story.token.version + 1, at=at))
            said.append((at, event))
    return said


def test_each_threshold_and_the_expiry_are_announced_once() -> None:
    every_hour = [BORN + HOUR * n for n in range(24 * 100)]
    assert swept(CREATED, *every_hour, *every_hour) == [
        (ENDS - 30 * DAY, notice(30)),
        (ENDS - 7 * DAY, notice(7)),
        (ENDS - DAY, notice(1)),
        (ENDS, EXPIRED),
    ]


def test_of_several_overdue_thresholds_only_the_smallest_is_announced() -> None:
    assert swept(CREATED, ENDS - 2 * DAY, ENDS - 2 * DAY) == [(ENDS - 2 * DAY, notice(7))]
    assert swept(CREATED, ENDS - HOUR, ENDS - HOUR) == [(ENDS - HOUR, notice(1))]


def test_after_a_long_outage_only_the_expiry_is_announced() -> None:
    assert swept(CREATED, LATER, LATER, LATER + DAY) == [(LATER, EXPIRED)]


def test_a_sweeper_behind_another_announces_nothing() -> None:
    assert swept(CREATED, ENDS - DAY, ENDS - 7 * DAY, ENDS - 30 * DAY) == [(ENDS - DAY, notice(1))]


@pytest.mark.parametrize(
    ("lifetime", "due"),
    [
        (HOUR, [0]),
        (DAY, [0]),
        (DAY + SECOND, [0, 86_400]),
        (7 * DAY, [0, 86_400]),
        (30 * DAY, [0, 7 * 86_400, 86_400]),
        (31 * DAY, [0, *THRESHOLDS]),
        (-DAY, [0]),
    ],
)
def test_a_threshold_counts_only_if_the_lifetime_is_longer(lifetime: Any, due: list[int]) -> None:
    token = given(replace(CREATED, expires_at=BORN + lifetime)).token
    assert sorted(pending(token)) == sorted(due)
    assert token.next_due_at == BORN + lifetime - max(due) * SECOND


def test_the_next_due_moment_is_exactly_the_next_announcement() -> None:
    story = given(CREATED)
    for expected in (ENDS - 30 * DAY, ENDS - 7 * DAY, ENDS - DAY, ENDS):
        assert story.token.next_due_at == expected
        assert story.when(SWEEP, expected - SECOND) == []
        story.state = story.then(SWEEP, expected)
    assert story.token.next_due_at is None


def test_a_token_that_never_expires_is_never_due() -> None:
    assert swept(replace(CREATED, expires_at=None), LATER, datetime.max.replace(tzinfo=BORN.tzinfo)) == []


def test_a_revoked_token_is_never_due() -> None:
    story = given(CREATED, REVOKED)
    assert story.token.next_due_at is None
    assert story.when(SWEEP, LATER) == []


def test_a_suspended_token_expires_like_any_other() -> None:
    assert given(CREATED, SUSPENDED).when(SWEEP, LATER) == [EXPIRED]


def test_a_token_created_expired_is_announced_as_expired() -> None:
    gone = BORN - DAY
    born_dead = replace(CREATED, expires_at=gone)
    assert swept(born_dead, BORN, BORN) == [(BORN, Expired(expires_at=gone))]


def test_renewing_to_the_same_expiry_repeats_no_notice() -> None:
    for at in (ENDS - 30 * DAY, ENDS - 2 * DAY, ENDS - HOUR):
        story = given(CREATED)
        story.state = story.then(SWEEP, at)
        story.state = story.then(command_of(Renew, expires_at=ENDS), at)
        assert story.when(SWEEP, at) == []


def test_a_notice_keeps_the_revision_and_an_expiry_raises_it() -> None:
    noticed = given(CREATED).then(SWEEP, ENDS - DAY)
    assert (noticed.version, noticed.revision, noticed.updated_at) == (2, 1, BORN)
    expired = given(CREATED).then(SWEEP, LATER)
    assert (expired.version, expired.revision, expired.updated_at) == (2, 2, LATER)


def test_without_thresholds_only_the_expiry_is_announced() -> None:
    assert swept(replace(CREATED, thresholds=()), ENDS - SECOND, ENDS) == [(ENDS, EXPIRED)]


LEFT = Revoked(private=Private(reason="The user who owned this token was removed."))


@pytest.mark.parametrize("at", [ENDS - 30 * DAY, ENDS - SECOND, ENDS, LATER])
def test_the_expiry_of_a_removed_users_token_is_not_announced(at: datetime) -> None:
    removed = Context(owner="removed")
    assert given(CREATED).when(SWEEP, at, removed) == [LEFT]
    assert given(CREATED, (at, LEFT)).when(SWEEP, at, removed) == []
    assert given(CREATED, (at, LEFT)).token.next_due_at is None


@pytest.mark.parametrize("announced", [EXPIRED, REVOKED])
def test_an_expired_token_of_a_removed_user_is_not_announced(announced: Event) -> None:
    assert given(CREATED, (ENDS, announced)).when(SWEEP, LATER, Context(owner="removed")) == []


def test_a_disabled_users_tokens_are_announced() -> None:
    disabled = Context(owner="disabled")
    assert given(CREATED).when(SWEEP, ENDS - 30 * DAY, disabled) == [notice(30)]
    assert given(CREATED).when(SWEEP, ENDS, disabled) == [EXPIRED]
