"""A test-only kind of subject: subscriptions of an account, each with its own URL."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from counterfoil.core.events import Event, Fact
from counterfoil.core.locked import Locked
from counterfoil.core.refusals import AlreadyExists, InUse, NotFound
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import (
    Command,
    DecisionContext,
    Key,
    SubjectState,
    no_command,
    unexpected,
)


class Subscribed(Event, frozen=True, kw_only=True):
    """Events of the account are sent to a URL from now on."""

    url: str


class Unsubscribed(Event, frozen=True, kw_only=True):
    """Events are no longer sent to the URL."""


class Subscribe(Command, frozen=True, kw_only=True):
    """Send events of the account to a URL."""

    url: str

    @property
    def guards(self) -> tuple[Key, ...]:
        """The account's own row: the decision reads it."""
        return ((self.account, self.account),)

    @property
    def has_unique_value(self) -> bool:
        """The URL."""
        return True


class Unsubscribe(Command, frozen=True, kw_only=True):
    """Stop sending events to the URL."""


class Subscription(SubjectState, frozen=True, kw_only=True):
    """The present state of a subscription."""

    url: str


class SubscriptionContext(DecisionContext, frozen=True, kw_only=True):
    """Whether the account exists, and the URLs of its subscriptions."""

    account_exists: bool
    urls: frozenset[str]


@dataclass(slots=True)
class SubscriptionReads:
    """The URLs of each account."""

    urls: dict[UUID, frozenset[str]] = field(default_factory=dict)

    def copy(self) -> "SubscriptionReads":
        """Return an independent copy."""
        return replace(self, urls=dict(self.urls))


def decide(state: Subscription | None, command: Command, context: SubscriptionContext) -> list[Event]:
    """Return the events of the command, or raise a Refusal."""
    match command:
        case Subscribe(url=url):
            if not context.account_exists:
                raise NotFound
            if state is not None:
                raise AlreadyExists
            if url in context.urls:
                raise InUse("The account has a subscription to this URL already.")
            return [Subscribed(url=url)]
        case Unsubscribe():
            if state is None:
                raise NotFound
            command.refuse_stale(state)
            return [Unsubscribed()] if state.status == "active" else []
    raise no_command(command)


def evolve(state: Subscription | None, fact: Fact) -> Subscription:
    """Return the state after one more event."""
    match fact.event:
        case Subscribed(url=url) if state is None:
            return Subscription.created(fact, url=url)
        case Unsubscribed() if state is not None:
            return state.after(fact, status="ended")
    raise unexpected(fact)


@dataclass(frozen=True)
class SubscriptionKind(Kind):
    """Subscriptions; a decision also reads their account and its other subscriptions."""

    def context(self, command: Command, at: datetime, locked: Locked) -> SubscriptionContext:
        """Return what the account's row and the side table contain."""
        row = locked.rows.get((command.account, command.account))
        return SubscriptionContext(
            at=at,
            account_exists=row is not None and row.state is not None,
            urls=locked.of(SubscriptionReads).urls.get(command.account, frozenset()),
        )

    def admit(self, command: Command, _before: SubjectState | None, _after: SubjectState, locked: Locked) -> None:
        """Show the URL to the next command of the batch."""
        if isinstance(command, Subscribe):
            urls = locked.of(SubscriptionReads).urls
            urls[command.account] = urls.get(command.account, frozenset()) | {command.url}


SUBSCRIPTION: Final = SubscriptionKind(
    "test_subscription",
    Subscription,
    {"subscribed": Subscribed, "unsubscribed": Unsubscribed},
    (Subscribe, Unsubscribe),
    decide,
    evolve,
)
