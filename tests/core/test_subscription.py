"""Subscriptions: their commands, what they match, and their states."""

from datetime import timedelta
from typing import Any, get_args
from uuid import UUID

import pytest
from msgspec.structs import replace

from core import histories
from core.histories import ACCOUNT, ADMIN, BORN, CREATED, ENDS, NOON
from counterfoil.core import kinds
from counterfoil.core.events import Event, Fact, Subject
from counterfoil.core.kinds import TYPE_OF
from counterfoil.core.locked import Locked
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import (
    AlreadyExists,
    BadDuration,
    BadOwner,
    BadScope,
    BadTarget,
    BadText,
    NotFound,
    PreviousSecretGood,
    SecretNoLongerAvailable,
    StaleRevision,
    SubscriptionInactive,
    TooManySubscriptions,
)
from counterfoil.core.subjects.subscription import (
    Subscription,
    SubscriptionContext,
    decide,
    evolve,
    matches,
)
from counterfoil.core.subjects.subscription_events import (
    SUBSCRIBABLE,
    CreateSubscription,
    DisableSubscription,
    EncryptedSecret,
    Filter,
    PauseSubscription,
    Redeliver,
    Redelivered,
    RemoveSubscription,
    ResumeSubscription,
    RotateWebhookSecret,
    SendTest,
    SubscriptionDisabled,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
    SubscriptionTested,
    SubscriptionUpdated,
    UpdateSubscription,
    WebhookSecretRotated,
)
from counterfoil.core.subjects.subscription_kind import SUBSCRIPTION, SubscriptionReads
from counterfoil.core.subjects.token.events import Created, Expiring, Revoked
from counterfoil.core.subjects.token.state import Token
from counterfoil.documents.subscriptions import EventType

ID, SECRET = UUID(int=0x5B), EncryptedSecret(b"x")
EVERYTHING = Filter(events=SUBSCRIBABLE)
URL = "https://hooks.example.org/x"


def create(**fields: Any) -> CreateSubscription:
    given: dict[str, Any] = {"name": "on call", "url": URL, "filter": EVERYTHING, "secret": SECRET, "most": 2, **fields}
    return CreateSubscription(account=ACCOUNT, id=ID, by=ADMIN, **given)


def tell(command: type[Any], **fields: Any) -> Any:
    return command(account=ACCOUNT, id=ID, by=ADMIN, **fields)


def when(state: Subscription | None, command: Any, *, count: int = 0) -> list[Event]:
    return decide(state, command, SubscriptionContext(at=NOON, count=count))


def fact(event: Event, version: int = 1) -> Fact:
    return Fact(
        account=ACCOUNT, subject=Subject("subscription", ID), version=version, type=TYPE_OF[type(event)], at=BORN,
        by=ADMIN.actor, event=event,
    )  # fmt: skip


def after(*commands: Any) -> Subscription:
    """Return the state after these commands."""
    state: Subscription | None = None
    for command in commands:
        for event in when(state, command):
            state = evolve(state, fact(event, 1 if state is None else state.version + 1))
    assert state is not None
    return state


ACTIVE = after(create())
REMOVED = after(create(), tell(RemoveSubscription))


def token(**fields: Any) -> Token:
    return replace(histories.given(CREATED).token, **fields)


def test_a_subscription_is_created_with_what_it_wants() -> None:
    wanted = Filter(events=("revoked", "created"), owner=Owner("service", "ci"), name="ci-*", scope="a.b", threshold=60)
    made = after(create(filter=wanted, ordered=True))
    assert made.filter == replace(wanted, events=("created", "revoked"))
    assert (made.name, made.url, made.ordered, made.status, made.creator) == (
        "on call", URL, True, "active", ADMIN.actor,
    )  # fmt: skip
    with pytest.raises(AlreadyExists):
        when(made, create())


def test_an_account_has_only_so_many_subscriptions() -> None:
    with pytest.raises(TooManySubscriptions):
        when(None, create(), count=2)
    assert create().guards == ((ACCOUNT, ACCOUNT),)
    locked = Locked(clock=NOON)
    SUBSCRIPTION.admit(create(), None, ACTIVE, locked)
    SUBSCRIPTION.admit(tell(PauseSubscription), ACTIVE, ACTIVE, locked)
    assert SUBSCRIPTION.context(create(), NOON, locked.copy()).count == 1
    assert locked.of(SubscriptionReads).counts == {ACCOUNT: 1}


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"name": ""}, BadText),
        ({"url": "ftp://a.b/"}, BadTarget),
        ({"url": "https://127.1/"}, BadTarget),
        ({"url": "https://a.b/\x00"}, BadText),
        ({"filter": Filter(events=())}, BadText),
        ({"filter": Filter(events=("exchanged",))}, BadText),
        ({"filter": replace(EVERYTHING, owner=Owner("service", "a b"))}, BadOwner),
        ({"filter": replace(EVERYTHING, name="\\a")}, BadText),
        ({"filter": replace(EVERYTHING, scope="a..b")}, BadScope),
        ({"filter": replace(EVERYTHING, threshold=0)}, BadDuration),
        ({"filter": replace(EVERYTHING, threshold=367 * 86_400)}, BadDuration),
    ],
)
def test_an_invalid_definition_is_refused(fields: dict[str, Any], refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        when(None, create(**fields))


def test_a_change_keeps_what_it_does_not_state_and_may_remove_a_condition() -> None:
    before = after(create(filter=replace(EVERYTHING, name="ci-*", scope="a.b")))
    (event,) = when(before, tell(UpdateSubscription, events=("expired",), token_name=None, name="new"))
    assert isinstance(event, SubscriptionUpdated)
    changed = evolve(before, fact(event, 2))
    assert (changed.name, changed.filter) == ("new", Filter(events=("expired",), scope="a.b"))
    (moved,) = when(before, tell(UpdateSubscription, url="https://other.example/", ordered=True))
    changed = evolve(before, fact(moved, 2))
    assert (changed.url, changed.ordered, changed.filter) == ("https://other.example/", True, before.filter)
    assert when(before, tell(UpdateSubscription, name="on call")) == []


def test_it_is_paused_disabled_and_resumed() -> None:
    paused = after(create(), tell(PauseSubscription))
    disabled = after(create(), tell(DisableSubscription))
    assert (paused.status, disabled.status, disabled.disabled_because) == ("paused", "disabled", "gone")
    assert when(ACTIVE, tell(PauseSubscription)) == [SubscriptionPaused()]
    assert when(paused, tell(PauseSubscription)) == []
    assert when(paused, tell(DisableSubscription)) == [SubscriptionDisabled(because="gone")]
    assert when(disabled, tell(DisableSubscription)) == []
    assert when(disabled, tell(ResumeSubscription)) == [SubscriptionResumed()]
    assert when(ACTIVE, tell(ResumeSubscription)) == []
    resumed = after(create(), tell(DisableSubscription), tell(ResumeSubscription))
    assert (resumed.status, resumed.disabled_because, resumed.revision) == ("active", None, 3)


def test_only_an_active_one_sends_tests_and_repeats() -> None:
    assert when(ACTIVE, tell(SendTest)) == [SubscriptionTested()]
    assert when(ACTIVE, tell(Redeliver, delivery=ID)) == [Redelivered(delivery=ID)]
    tested = after(create(), tell(SendTest), tell(Redeliver))
    assert (tested.version, tested.revision) == (3, 1)
    for command in (SendTest, Redeliver):
        with pytest.raises(SubscriptionInactive):
            when(after(create(), tell(PauseSubscription)), tell(command))


def test_at_most_two_secrets_are_good() -> None:
    rotate = tell(RotateWebhookSecret, secret=SECRET, overlap_seconds=60)
    assert when(ACTIVE, rotate) == [WebhookSecretRotated(previous_until=NOON + timedelta(seconds=60))]
    rotated = after(create(), rotate)
    with pytest.raises(PreviousSecretGood):
        when(rotated, rotate)
    ends = replace(rotate, ends_previous=True, overlap_seconds=0)
    assert when(rotated, ends) == [WebhookSecretRotated(previous_until=None)]
    over = replace(rotated, previous_until=NOON)
    assert when(over, rotate) == when(ACTIVE, rotate)
    for seconds in (-1, 31 * 86_400):
        with pytest.raises(BadDuration):
            when(ACTIVE, replace(rotate, overlap_seconds=seconds))
    assert "x" not in repr(SECRET).removeprefix("EncryptedSecret")


def test_a_removed_one_is_gone_and_a_stale_revision_is_refused() -> None:
    assert when(ACTIVE, tell(RemoveSubscription)) == [SubscriptionRemoved()]
    assert REMOVED.status == "removed"
    for state in (None, REMOVED):
        with pytest.raises(NotFound):
            when(state, tell(PauseSubscription))
    with pytest.raises(StaleRevision):
        when(ACTIVE, tell(PauseSubscription, revisions=frozenset({7})))
    with pytest.raises(TypeError):
        when(ACTIVE, tell(kinds.KINDS["scope"].commands[1]))


def test_a_secret_is_shown_again_only_while_the_subscription_is_there() -> None:
    SUBSCRIPTION.refuse_replay(create(), ACTIVE, None)
    for state in (None, REMOVED):
        with pytest.raises(SecretNoLongerAvailable):
            SUBSCRIPTION.refuse_replay(create(), state, None)


@pytest.mark.parametrize("event", [SubscriptionPaused(), SubscriptionRemoved(), SubscriptionTested()])
def test_a_subscription_begins_with_its_creation(event: Event) -> None:
    with pytest.raises(ValueError, match="cannot come here"):
        evolve(None, fact(event))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, True),
        ({"events": ("created",)}, False),
        ({"owner": Owner("service", "billing")}, True),
        ({"owner": Owner("service", "other")}, False),
        ({"name": "night*"}, True),
        ({"name": "day*"}, False),
        ({"scope": "invoices.read"}, True),
        ({"scope": "invoices.pay"}, False),
    ],
)
def test_an_event_is_sent_if_all_conditions_hold(wanted: dict[str, Any], expected: bool) -> None:
    subject = token(name="nightly", owner=Owner("service", "billing"), scopes=("invoices.read",))
    assert matches(replace(EVERYTHING, **wanted), Revoked(), "revoked", subject) is expected


def test_all_events_that_can_be_sent_are_in_the_document() -> None:
    assert get_args(EventType) == SUBSCRIBABLE


def test_a_threshold_limits_notices_alone() -> None:
    wanted = replace(EVERYTHING, threshold=100)
    for threshold, expected in ((99, True), (100, True), (101, False)):
        event = Expiring(threshold=threshold, expires_at=ENDS)
        assert matches(wanted, event, "expiring", token()) is expected
    assert matches(wanted, Revoked(), "revoked", token())


def test_sessions_are_never_sent_and_an_erased_name_matches_only_everything() -> None:
    assert isinstance(CREATED, Created)
    assert not matches(EVERYTHING, CREATED, "created", token(dialect="losant.session"))
    assert matches(replace(EVERYTHING, name="*"), CREATED, "created", token(name=None))
    assert not matches(replace(EVERYTHING, name="?*"), CREATED, "created", token(name=None))
