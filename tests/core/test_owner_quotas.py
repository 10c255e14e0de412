"""Quotas of owners: their commands, and how many tokens an owner may have."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core import histories
from core.histories import ACCOUNT, ADMIN, BORN, CREATED, ENDS, NOON, REVOKED, SUSPENDED
from counterfoil.core import kinds
from counterfoil.core.bounds import OwnerQuota
from counterfoil.core.events import Event, Fact, Subject
from counterfoil.core.kinds import TYPE_OF
from counterfoil.core.owners import can_be, checked_owner, spelt
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import BadOwner, BadQuota, BadRateLimit, NotFound, OwnerQuotaExceeded, StaleRevision
from counterfoil.core.secret import mint
from counterfoil.core.subjects.account import EndSecrets
from counterfoil.core.subjects.owner_quota import (
    QuotaOfOwner,
    QuotaRemoved,
    QuotaSet,
    RemoveQuota,
    SetQuota,
    decide,
    evolve,
)
from counterfoil.core.subjects.subject import DecisionContext
from counterfoil.core.subjects.token.live_tokens import Room, is_live, room_after

ID, BILLING = UUID(int=0x0A), Owner("service", "billing")
AROUND = DecisionContext(at=NOON)
SET = QuotaSet(owner=BILLING, rate_limit="600/1m", max_uses=9, max_tokens=3)


def told(*history: Event) -> QuotaOfOwner:
    state: QuotaOfOwner | None = None
    for version, event in enumerate(history, start=1):
        state = evolve(state, fact(event, version))
    assert state is not None
    return state


def fact(event: Event, version: int = 1) -> Fact:
    return Fact(
        account=ACCOUNT, subject=Subject("owner_quota", ID), version=version, type=TYPE_OF[type(event)], at=BORN,
        by=ADMIN.actor, event=event,
    )  # fmt: skip


def sets(**fields: Any) -> SetQuota:
    return SetQuota(account=ACCOUNT, id=ID, by=ADMIN, owner=BILLING, **fields)


REMOVE = RemoveQuota(account=ACCOUNT, id=ID, by=ADMIN, owner=BILLING)


def test_a_quota_is_set_replaced_and_removed() -> None:
    assert kinds.KIND_OF[SetQuota].decider(None, sets(rate_limit="600/1m", max_uses=9, max_tokens=3), AROUND) == [SET]
    state = told(SET)
    assert (state.name, state.revision, state.quota) == ("service:billing", 1, OwnerQuota(ID, "600/1m", 9, 3))
    assert decide(state, sets(rate_limit="600/1m", max_uses=9, max_tokens=3), AROUND) == []
    assert decide(state, sets(max_tokens=4), AROUND) == [replace(SET, rate_limit=None, max_uses=None, max_tokens=4)]
    assert decide(state, REMOVE, AROUND) == [QuotaRemoved()]
    removed = told(SET, QuotaRemoved())
    assert (removed.status, removed.revision) == ("removed", 2)
    assert decide(removed, sets(rate_limit="600/1m", max_uses=9, max_tokens=3), AROUND) == [SET]
    assert told(SET, QuotaRemoved(), SET).status == "active"


def test_a_missing_quota_cannot_be_removed() -> None:
    for state in (None, told(SET, QuotaRemoved())):
        with pytest.raises(NotFound, match="has no quota"):
            decide(state, REMOVE, AROUND)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        *(({}, BadQuota), ({"max_uses": 0}, BadQuota), ({"max_tokens": -1}, BadQuota)),
        ({"rate_limit": "often"}, BadRateLimit),
    ],
)  # fmt: skip
def test_an_invalid_quota_is_refused(fields: dict[str, Any], refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        decide(None, sets(**fields), AROUND)


def test_a_quota_is_changed_and_removed_at_the_required_revision() -> None:
    for command in (sets(max_uses=1), REMOVE):
        with pytest.raises(StaleRevision):
            decide(told(SET), replace(command, revisions=frozenset({7})), AROUND)


def test_a_quota_refuses_commands_and_events_of_other_kinds() -> None:
    with pytest.raises(TypeError, match="no such command"):
        decide(None, EndSecrets(account=ACCOUNT, id=ID, by=ADMIN, reason="x"), AROUND)
    with pytest.raises(ValueError, match="cannot come here"):
        evolve(None, fact(QuotaRemoved()))


def test_an_owner_is_stored_in_canonical_form_without_strange_characters() -> None:
    user = Owner("user", "019B0000-0000-7000-8000-000000000BEE")
    assert checked_owner(user) == spelt(Owner("user", user.id.replace("-", ""))) == Owner("user", user.id.lower())
    assert checked_owner(BILLING) == BILLING
    for name in ("", "a b", "a@b.example", "x" * 129):
        with pytest.raises(BadOwner):
            checked_owner(Owner("service", name))


def test_a_quota_counts_tokens_until_they_expire_or_are_revoked_and_no_logins() -> None:
    token = histories.given(CREATED).token
    assert is_live(token, NOON)
    assert is_live(histories.given(CREATED, SUSPENDED).token, NOON)
    assert not is_live(token, ENDS)
    assert not is_live(histories.given(CREATED, REVOKED).token, NOON)
    assert not is_live(replace(token, dialect="canvus.session"), NOON)
    assert is_live(replace(token, expires_at=None), ENDS)


_moments = st.none() | st.sampled_from([BORN, NOON, ENDS])


@given(st.integers(0, 3), st.integers(0, 3), st.none() | _moments.map(lambda at: (at,)), _moments, st.booleans())
def test_a_quota_limits_the_tokens_that_are_created_or_revived(
    most: int, live: int, before: tuple[datetime | None] | None, after: datetime | None, revoked: bool
) -> None:
    room, token = Room(most, live, NOON), histories.given(CREATED, *([REVOKED] if revoked else [])).token
    was = None if before is None else replace(histories.given(CREATED).token, expires_at=before[0])
    now = replace(token, expires_at=after)
    if is_live(now, NOON) and (was is None or not is_live(was, NOON)) and live >= most:
        with pytest.raises(
            OwnerQuotaExceeded, match=rf"has {live} live tokens, and its quota allows {most}"
        ) as refused:
            room_after(room, was, now)
        assert refused.value.facts == {"max_tokens": most, "live": live}
        return
    left = room_after(room, was, now)
    assert left.live <= max(live, most)
    assert left.live - live == is_live(now, NOON) - (was is not None and is_live(was, NOON))


def test_a_secret_is_refused_as_an_owner() -> None:
    assert can_be(Owner("service", "billing"))
    assert not can_be(Owner("service", mint("service").plain))
    assert not can_be(Owner("service", "with a blank"))
