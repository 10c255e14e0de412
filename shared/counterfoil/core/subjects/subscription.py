"""A subscription: events of the account's tokens that match a filter are sent to a URL.

Its secrets are stored beside the log (`postgres/subscriptions.py`); no event holds them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import UNSET, structs

from counterfoil.core import glob, scopes, text
from counterfoil.core.destinations import DestinationRefused, webhook_destination_of
from counterfoil.core.events import Event, Fact, Private
from counterfoil.core.owners import checked_owner
from counterfoil.core.principal import Actor
from counterfoil.core.refusals import (
    AlreadyExists,
    BadDuration,
    BadTarget,
    BadText,
    NotFound,
    PreviousSecretGood,
    SubscriptionInactive,
    TooManySubscriptions,
)
from counterfoil.core.subjects.subject import (
    Command,
    DecisionContext,
    SubjectState,
    no_command,
    unexpected,
)
from counterfoil.core.subjects.subscription_events import (
    SUBSCRIBABLE,
    CreateSubscription,
    Definition,
    DisableSubscription,
    Filter,
    PauseSubscription,
    Redeliver,
    Redelivered,
    RemoveSubscription,
    ResumeSubscription,
    RotateWebhookSecret,
    SendTest,
    SubscriptionCreated,
    SubscriptionDisabled,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
    SubscriptionTested,
    SubscriptionUpdated,
    UpdateSubscription,
    WebhookSecretRotated,
)
from counterfoil.core.subjects.token.events import Expiring
from counterfoil.core.subjects.token.state import Token, is_session

OVERLAP_LIMIT_SECONDS: Final = 30 * 86_400
_THRESHOLD_LIMIT_SECONDS: Final = 366 * 86_400
OPEN: Final = frozenset({"active", "paused"})
"""Events that happen in these states are sent, at once or after the pause."""


class Subscription(SubjectState, frozen=True, kw_only=True):
    """The present state of a subscription. `ordered` sends one event only after the one before was received.

    Its status is active, paused, disabled or removed. Messages are signed with the previous secret as well until
    `previous_until`.
    """

    url: str
    filter: Filter
    ordered: bool
    creator: Actor
    previous_until: datetime | None = None
    disabled_because: str | None = None


class SubscriptionContext(DecisionContext, frozen=True, kw_only=True):
    """How many subscriptions the account has."""

    count: int = 0


def matches(wanted: Filter, event: Event, event_type: str, token: Token) -> bool:
    """Say whether this event of a token, in its state after the event, is sent. A login's session never is."""
    if event_type not in wanted.events or is_session(token.dialect):
        return False
    if wanted.owner is not None and token.owner != wanted.owner:
        return False
    if wanted.scope is not None and scopes.missing(token.scopes, (wanted.scope,)):
        return False
    if isinstance(event, Expiring) and wanted.threshold is not None and event.threshold > wanted.threshold:
        return False
    return wanted.name is None or glob.read(wanted.name, field="token_name").matches(token.name or "")


def decide(state: Subscription | None, command: Command, context: SubscriptionContext) -> list[Event]:
    if isinstance(command, CreateSubscription):
        if state is not None:
            raise AlreadyExists
        if context.count >= command.most:
            raise TooManySubscriptions(f"This account has {context.count} subscriptions, the most that it may have.")
        definition, private = _checked(command.name, command.url, command.filter, ordered=command.ordered)
        return [SubscriptionCreated(definition=definition, private=private)]
    if state is None or state.status == "removed":
        raise NotFound
    command.refuse_stale(state)
    match command:
        case UpdateSubscription():
            return _updated(state, command)
        case RotateWebhookSecret():
            return [_rotated(state, command, context.at)]
        case RemoveSubscription():
            return [SubscriptionRemoved()]
        case SendTest() | Redeliver():
            return [_sent(state, command)]
    return _switched(state, command)


def _switched(state: Subscription, command: Command) -> list[Event]:
    match command:
        case PauseSubscription():
            return [SubscriptionPaused()] if state.status == "active" else []
        case ResumeSubscription():
            return [SubscriptionResumed()] if state.status != "active" else []
        case DisableSubscription(because=because):
            return [SubscriptionDisabled(because=because)] if state.status in OPEN else []
    raise no_command(command)


def _sent(state: Subscription, command: SendTest | Redeliver) -> Event:
    if state.status != "active":
        raise SubscriptionInactive
    return Redelivered(delivery=command.delivery) if isinstance(command, Redeliver) else SubscriptionTested()


def _updated(state: Subscription, command: UpdateSubscription) -> list[Event]:
    stated = {
        "events": command.events, "owner": command.owner, "name": command.token_name, "scope": command.scope,
        "threshold": command.threshold,
    }  # fmt: skip
    wanted = structs.replace(state.filter, **{name: value for name, value in stated.items() if value is not UNSET})
    name = (state.name or "") if command.name is UNSET else command.name
    url = state.url if command.url is UNSET else command.url
    ordered = state.ordered if command.ordered is UNSET else command.ordered
    definition, private = _checked(name, url, wanted, ordered=ordered)
    same = (state.name, state.url, state.filter, state.ordered) == tuple(_defined(definition, private).values())
    return [] if same else [SubscriptionUpdated(definition=definition, private=private)]


def _rotated(state: Subscription, command: RotateWebhookSecret, at: datetime) -> WebhookSecretRotated:
    if not 0 <= command.overlap_seconds <= OVERLAP_LIMIT_SECONDS:
        raise BadDuration("An overlap is between 0s and 30d; give one such as 24h.", field="overlap")
    until = state.previous_until
    if until is not None and until > at and not command.ends_previous:
        raise PreviousSecretGood(until=until.isoformat())
    overlap = timedelta(seconds=command.overlap_seconds)
    return WebhookSecretRotated(previous_until=at + overlap if overlap else None)


def _checked(name: str, url: str, wanted: Filter, *, ordered: bool) -> tuple[Definition, Private]:
    """Return a definition and its private part, or raise a Refusal."""
    owner = None if wanted.owner is None else checked_owner(wanted.owner)
    pattern = None if wanted.name is None else text.checked("token_name", wanted.name, text.NAME_LIMIT)
    if pattern is not None:
        glob.read(pattern, field="token_name")
    if wanted.threshold is not None and not 1 <= wanted.threshold <= _THRESHOLD_LIMIT_SECONDS:
        raise BadDuration("A threshold is between 1s and 366d; give one such as 7d.", field="threshold")
    private = Private(
        name=text.checked_name(name), url=_checked_url(url), filter=UNSET if pattern is None else {"name": pattern}
    )
    scope = None if wanted.scope is None else scopes.checked((wanted.scope,))[0]
    definition = Definition(
        events=_checked_events(wanted.events), owner=owner, scope=scope, threshold=wanted.threshold, ordered=ordered
    )
    return definition, private


def _checked_events(stated: tuple[str, ...]) -> tuple[str, ...]:
    if not stated or not set(stated) <= set(SUBSCRIBABLE):
        raise BadText(f"events names one or more of {', '.join(SUBSCRIBABLE)}.", field="events")
    return tuple(name for name in SUBSCRIBABLE if name in stated)


def _checked_url(url: str) -> str:
    try:
        webhook_destination_of(text.checked("url", url, 2_048))
    except DestinationRefused as error:
        raise BadTarget(str(error), field="url") from None
    return url


def _defined(definition: Definition, private: Private | None) -> dict[str, Any]:
    """Return the fields of the state that an event defines: name, url, filter and ordered, in this order."""
    private = private or Private()
    pattern = (private.filter or {}).get("name")
    wanted = Filter(
        events=definition.events, owner=definition.owner, name=None if pattern is None else str(pattern),
        scope=definition.scope, threshold=definition.threshold,
    )  # fmt: skip
    return {"name": private.name or None, "url": private.url or "", "filter": wanted, "ordered": definition.ordered}


def evolve(state: Subscription | None, fact: Fact) -> Subscription:
    match fact.event:
        case SubscriptionCreated(definition=definition, private=private) if state is None:
            defined = _defined(definition, private)
            return Subscription.created(fact, creator=fact.by, **{k: v for k, v in defined.items() if k != "name"})
        case SubscriptionUpdated(definition=definition, private=private) if state is not None:
            return state.after(fact, **_defined(definition, private))
        case SubscriptionPaused() if state is not None:
            return state.after(fact, status="paused")
        case SubscriptionResumed() if state is not None:
            return state.after(fact, status="active", disabled_because=None)
        case SubscriptionDisabled(because=because) if state is not None:
            return state.after(fact, status="disabled", disabled_because=because)
        case WebhookSecretRotated(previous_until=until) if state is not None:
            return state.after(fact, previous_until=until)
        case SubscriptionRemoved() if state is not None:
            return state.after(fact, status="removed", previous_until=None)
        case SubscriptionTested() | Redelivered() if state is not None:
            return structs.replace(state, version=fact.version, at=fact.at)
    raise unexpected(fact)
