from datetime import datetime, timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from core.histories import (
    ACCOUNT,
    ADMIN,
    BORN,
    CREATED,
    DAY,
    ENDS,
    LATER,
    NOON,
    RESUMED,
    REVOKED,
    SECOND,
    SUSPENDED,
    fact,
    rotated,
)
from counterfoil.core.events import Event, Fact, Subject
from counterfoil.core.history import past
from counterfoil.core.subjects.account import AccountCreated, SecretsEnded
from counterfoil.core.subjects.token.acceptance import refusal_for
from counterfoil.core.subjects.token.events import Created, Exchanged, Expired, Renewed
from counterfoil.core.subjects.user_events import UserCreated, UserDisabled, UserEnabled, UserRemoved

RENEWED = Renewed(expired_at=ENDS, expires_at=LATER + DAY, lifetime="101d")
EXPIRED = Expired(expires_at=ENDS)
ROTATED = rotated(2, None)


def story(*events: tuple[datetime, Event]) -> list[Fact]:
    return [fact(event, version=version, at=at) for version, (at, event) in enumerate(events, start=1)]


def test_a_token_does_not_exist_before_its_creation() -> None:
    assert past([], BORN - SECOND) is None


@pytest.mark.parametrize(
    ("events", "at", "status", "decided_by"),
    [
        ([CREATED], NOON, "active", 1),
        ([CREATED], ENDS - SECOND, "active", 1),
        ([CREATED], ENDS, "expired", 1),
        ([CREATED, EXPIRED], LATER, "expired", 1),
        ([CREATED, RENEWED], NOON, "active", 2),
        ([CREATED, RENEWED], LATER, "active", 2),
        ([CREATED, RENEWED, ROTATED], LATER + DAY, "expired", 2),
        ([CREATED, ROTATED], NOON, "active", 1),
        ([CREATED, SUSPENDED], NOON, "suspended", 2),
        ([CREATED, SUSPENDED, RENEWED, ROTATED], NOON, "suspended", 2),
        ([CREATED, SUSPENDED], ENDS, "expired", 1),
        ([CREATED, SUSPENDED, RESUMED], NOON, "active", 3),
        ([CREATED, SUSPENDED, RESUMED, SUSPENDED], NOON, "suspended", 4),
        ([CREATED, REVOKED], NOON, "revoked", 2),
        ([CREATED, SUSPENDED, REVOKED], LATER, "revoked", 3),
    ],
)
def test_a_status_comes_with_the_event_that_decided_it(
    events: list[Event], at: datetime, status: str, decided_by: int
) -> None:
    then = past(story(*((BORN, event) for event in events)), at)
    assert then is not None
    assert (then.status, then.decided_by.version, then.at) == (status, decided_by, at)


def test_the_last_exchange_is_known_from_its_event() -> None:
    facts = story((BORN, CREATED), *((BORN + n * SECOND, EXCHANGED) for n in range(1, 9)), (NOON, SUSPENDED))
    whole, short = past(facts, NOON), past([facts[0], *facts[-2:]], NOON)
    assert whole == short
    assert whole is not None
    assert whole.token.last_exchanged_at == BORN + timedelta(seconds=8)


EXCHANGED = Exchanged(
    jti=fact(CREATED, version=1).subject.id, generation=1, audience=(), scopes=(), expires_at=BORN + DAY
)


def of(kind: str, *events: tuple[datetime, Event]) -> list[Fact]:
    """An event of the account, or of the user who owns the token."""
    subject = Subject(kind, UUID(int=9))
    return [
        Fact(account=ACCOUNT, subject=subject, version=version, type="x", at=at, by=ADMIN.actor, event=event)
        for version, (at, event) in enumerate(events, start=1)
    ]


BEGUN = (BORN, AccountCreated())
HIRED = (BORN, UserCreated(role="member"))


@pytest.mark.parametrize(
    ("owner", "of_account", "decided_by"),
    [
        ([HIRED], [BEGUN], Created),
        ([HIRED, (NOON, UserDisabled())], [BEGUN], UserDisabled),
        ([HIRED, (NOON, UserRemoved())], [BEGUN], UserRemoved),
        ([HIRED, (NOON, UserDisabled()), (NOON, UserEnabled())], [BEGUN], Created),
        ([HIRED], [BEGUN, (NOON, SecretsEnded())], SecretsEnded),
        ([], [BEGUN, (NOON, SecretsEnded())], SecretsEnded),
    ],
)
def test_a_refusal_may_come_from_an_event_of_the_owner_or_the_account(
    owner: list[tuple[datetime, Event]], of_account: list[tuple[datetime, Event]], decided_by: type[Event]
) -> None:
    then = past(story((BORN, CREATED)), NOON, owner=of("user", *owner), of_account=of("account", *of_account))
    assert then is not None
    expected = "revoked" if decided_by is UserRemoved else "active"
    assert (then.status, type(then.decided_by.event)) == (expected, decided_by)
    assert (refusal_for(then.token, 1, NOON, then.context) is None) is (decided_by is Created)


def test_a_token_held_no_more_than_its_owner_did() -> None:
    wide = replace(CREATED, scopes=("all",))
    then = past(story((BORN, wide)), NOON, owner=of("user", HIRED), of_account=of("account", BEGUN))
    assert then is not None
    assert then.context.left_of(then.token.scopes) == ("own.*", "scopes.read")
