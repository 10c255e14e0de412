"""The subscription as a kind of subject: its decisions read how many an account has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from counterfoil.core.locked import Locked
from counterfoil.core.refusals import SecretNoLongerAvailable
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import Command, SubjectState
from counterfoil.core.subjects.subscription import Subscription, SubscriptionContext, decide, evolve
from counterfoil.core.subjects.subscription_events import COMMANDS, EVENTS, CreateSubscription


@dataclass(slots=True)
class SubscriptionReads:
    """The number of subscriptions of each account."""

    counts: dict[UUID, int] = field(default_factory=dict)

    def copy(self) -> SubscriptionReads:
        return replace(self, counts=dict(self.counts))


@dataclass(frozen=True)
class SubscriptionKind(Kind):
    """Subscriptions: an account has only so many of them."""

    def context(self, command: Command, at: datetime, locked: Locked) -> SubscriptionContext:
        """Return the number of the account's subscriptions."""
        return SubscriptionContext(at=at, count=locked.of(SubscriptionReads).counts.get(command.account, 0))

    def admit(self, command: Command, _before: SubjectState | None, _after: SubjectState, locked: Locked) -> None:
        """Count a new subscription for the commands after this one."""
        if isinstance(command, CreateSubscription):
            counts = locked.of(SubscriptionReads).counts
            counts[command.account] = counts.get(command.account, 0) + 1

    def refuse_replay(self, command: Command, state: SubjectState | None, _context: Any) -> None:  # noqa: ANN401
        """Raise a Refusal unless the subscription is still there; the caller's scopes were checked again."""
        if not isinstance(state, Subscription) or state.status == "removed":
            raise SecretNoLongerAvailable(subject=str(command.id))


SUBSCRIPTION: Final = SubscriptionKind("subscription", Subscription, EVENTS, COMMANDS, decide, evolve)
