"""The follower `notifications`: makes a delivery of each event for each subscription that wants it.

What is sent depends on the log alone: on the subscription as it was before the event, and on the token as it was after
it. The delivery's id is computed from both, so that a repeated batch makes the same one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from counterfoil.core.events import Fact
from counterfoil.core.subjects.subject import uuid8
from counterfoil.core.subjects.subscription import OPEN, Subscription, matches
from counterfoil.core.subjects.subscription_events import SUBSCRIBABLE, SubscriptionTested
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres import delivery_queue, subscriptions
from counterfoil.postgres.delivery_queue import NewDelivery
from counterfoil.postgres.followers import LoggedEvent, Transaction
from counterfoil.postgres.token_history import tokens_after
from counterfoil.uses.follower import Follower

TEST: Final = "test"
"""The type of a test message."""

Wanted = tuple[LoggedEvent, list[Subscription]]
"""An event, and the subscriptions that name its type."""


def delivery_id(subscription: UUID, subject: UUID, version: int) -> UUID:
    """Return the id of the delivery of an event to a subscription."""
    return uuid8(hashlib.sha256(subscription.bytes + subject.bytes + version.to_bytes(8, "big")).digest())


async def notify(connection: Transaction, batch: Sequence[LoggedEvent]) -> None:
    """Add the deliveries of a batch of events, in the transaction of the follower."""
    concerning = [each for each in batch if _concerns(each.fact)]
    if not concerning:
        return
    accounts = {each.fact.account for each in concerning}
    known = await subscriptions.before(connection, accounts, batch[0].position)
    made, wanted = _walked(concerning, known)
    tokens = await tokens_after(connection, [event.fact for event, _ in wanted])
    for (event, candidates), token in zip(wanted, tokens, strict=True):
        made += [
            _delivery(event, subscription.id, event.fact.type, token)
            for subscription in candidates
            if matches(subscription.filter, event.fact.event, event.fact.type, token)
        ]
    if made:
        await delivery_queue.add(connection, made)


def _concerns(fact: Fact) -> bool:
    return fact.subject.kind == "subscription" or (fact.subject.kind == "token" and fact.type in SUBSCRIBABLE)


def _walked(events: Iterable[LoggedEvent], known: Iterable[Subscription]) -> tuple[list[NewDelivery], list[Wanted]]:
    """Walk the events with the subscriptions as they change; return test messages, and what may be wanted."""
    state: defaultdict[UUID, dict[UUID, Subscription]] = defaultdict(dict)
    for subscription in known:
        state[subscription.account][subscription.id] = subscription
    tests: list[NewDelivery] = []
    wanted: list[Wanted] = []
    for event in events:
        fact, own = event.fact, state[event.fact.account]
        if fact.subject.kind == "subscription":
            own[fact.subject.id] = subscriptions.after(own.get(fact.subject.id), fact)
            if isinstance(fact.event, SubscriptionTested):
                tests.append(_delivery(event, fact.subject.id, TEST, None))
        elif candidates := [each for each in own.values() if each.status in OPEN and fact.type in each.filter.events]:
            wanted.append((event, candidates))
    return tests, wanted


def _delivery(event: LoggedEvent, subscription: UUID, event_type: str, token: Token | None) -> NewDelivery:
    fact = event.fact
    return NewDelivery(
        id=delivery_id(subscription, fact.subject.id, fact.version), account=fact.account, subscription=subscription,
        subject=fact.subject.id, version=fact.version, position=event.position, type=event_type,
        generation=None if token is None else token.generation,
    )  # fmt: skip


NOTIFICATIONS: Final = Follower(name="notifications", apply=notify)
