"""Subscriptions beside the log: their secrets, their place in the queue, and how they were at a position of the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from counterfoil.core.events import Fact
from counterfoil.core.kinds import evolve
from counterfoil.core.locked import Locked
from counterfoil.core.subjects.subject import Command, Unresolved
from counterfoil.core.subjects.subscription import Subscription
from counterfoil.core.subjects.subscription_events import (
    CreateSubscription,
    DisableSubscription,
    Redeliver,
    RemoveSubscription,
    ResumeSubscription,
    RotateWebhookSecret,
)
from counterfoil.core.subjects.subscription_kind import SubscriptionReads
from counterfoil.core.unit_of_work import Done
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.facts import fact_in
from counterfoil.postgres.followers import Transaction
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.store import Store
from counterfoil.postgres.subject_row import listed, states, states_in
from counterfoil.postgres.tenant_connection import tenant

_KIND: Final = "subscription"
_AT_ONCE: Final = 5_000
"""Deliveries that are cancelled in the transaction that ends a subscription."""


class SubscriptionStore(Store):
    """The store of subscriptions: secrets, the place in the queue, and deliveries that a change ends or repeats."""

    async def read(self, connection: Connection, commands: Sequence[Command | Unresolved], locked: Locked) -> None:
        """Count the subscriptions of accounts that could get one more; the rows of the accounts are locked."""
        if accounts := {c.account for c in commands if isinstance(c, CreateSubscription)}:
            locked.of(SubscriptionReads).counts = await _counts(connection, accounts)

    async def keep(self, connection: Connection, done: Sequence[Done]) -> None:
        """Write secrets, cancel what is not sent any more, and have sent again what is due again."""
        for each in done:
            await _keep(connection, each)


async def _counts(connection: Connection, accounts: Iterable[UUID]) -> dict[UUID, int]:
    rows = await connection.fetch(
        """
        select account_id, count(*) as subscriptions
          from subscription
         where account_id = any($1::uuid[])
         group by account_id""",
        list(accounts),
    )
    return {row["account_id"]: row["subscriptions"] for row in rows}


async def _keep(connection: Connection, done: Done) -> None:
    account, subscription = done.command.key
    match done.command:
        case CreateSubscription(secret=secret):
            await connection.execute(
                "insert into subscription (account_id, subscription_id, secret) values ($1, $2, $3)",
                account, subscription, secret.content,
            )  # fmt: skip
        case RotateWebhookSecret(secret=secret):
            await _rotate(connection, done, secret.content)
        # The row is locked before the deliveries are read: the follower locks it before it adds a delivery.
        case RemoveSubscription():
            await connection.execute(
                "delete from subscription where (account_id, subscription_id) = ($1, $2)", account, subscription
            )
            await _cancel(connection, account, subscription, "removed")
        case DisableSubscription():
            await _lock(connection, account, subscription)
            await _cancel(connection, account, subscription, "disabled")
        case ResumeSubscription():
            await _wake(connection, account, subscription)
        case Redeliver(delivery=delivery):
            await _lock(connection, account, subscription)
            await _repeat(connection, account, subscription, delivery)
            await _wake(connection, account, subscription)


async def _rotate(connection: Connection, done: Done, secret: bytes) -> None:
    until = done.after.previous_until if isinstance(done.after, Subscription) else None
    await connection.execute(
        """
        update subscription
           set previous_secret = case when $4::timestamptz is not null then secret end, previous_until = $4, secret = $3
         where (account_id, subscription_id) = ($1, $2)""",
        *done.command.key, secret, until,
    )  # fmt: skip


async def _lock(connection: Connection, account: UUID, subscription: UUID) -> None:
    await connection.execute(
        "select from subscription where (account_id, subscription_id) = ($1, $2) for update", account, subscription
    )


async def _cancel(connection: Connection, account: UUID, subscription: UUID, reason: str) -> None:
    """Cancel what is pending; beyond some thousands the job that forgets does the rest (`deliveries.end_orphans`)."""
    await connection.execute(
        f"""
        update delivery
           set status = 'cancelled', reason = $3, ended_at = clock_timestamp()
         where account_id = $1
           and delivery_id in (select delivery_id
                                 from delivery
                                where (account_id, subscription_id) = ($1, $2)
                                  and status = 'pending'
                                limit {_AT_ONCE:d})""",
        account, subscription, reason,
    )  # fmt: skip


async def _repeat(connection: Connection, account: UUID, subscription: UUID, delivery: UUID | None) -> None:
    await connection.execute(
        """
        update delivery
           set status = 'pending', reason = null, ended_at = null, attempts = 0, next_attempt_at = clock_timestamp(),
               redelivered_at = clock_timestamp()
         where (account_id, subscription_id) = ($1, $2)
           and case when $3::uuid is null then status = 'dead' else delivery_id = $3 end""",
        account, subscription, delivery,
    )  # fmt: skip


async def _wake(connection: Connection, account: UUID, subscription: UUID) -> None:
    """Have a worker look at its deliveries at once."""
    await connection.execute(
        """
        update subscription
           set due_at = clock_timestamp(), rests_until = '-infinity', failures = 0
         where (account_id, subscription_id) = ($1, $2)""",
        account, subscription,
    )  # fmt: skip


@repeated
async def subscription_by_id(pool: Pool, account: UUID, subscription: UUID) -> Subscription | None:
    """Return a subscription of this account that is not removed."""
    async with tenant(pool, account) as connection:
        which = "(account_id, subject_id, kind) = ($1, $2, 'subscription') and status <> 'removed'"
        return next(iter(await states(connection, Subscription, which, account, subscription)), None)


@repeated
async def subscriptions_of(
    pool: Pool, account: UUID, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[Subscription]:
    """Return subscriptions of this account that are not removed, the oldest first."""
    async with tenant(pool, account) as connection:
        return await states(
            connection, Subscription,
            """    account_id = $1
               and kind = 'subscription'
               and status <> 'removed'
               and ($2::timestamptz is null or (created_at, subject_id) > ($2, $3::uuid))
             order by created_at, subject_id
             limit $4""",
            account, after and after[0], after and after[1], limit,
        )  # fmt: skip


async def before(connection: Transaction, accounts: Iterable[UUID], position: int) -> list[Subscription]:
    """Return the subscriptions of these accounts as they were before this position of the log.

    The row of a subscription that changed later is too new; such a subscription is evolved from its events. So what is
    sent depends on the log alone, and not on how late a worker reads it.
    """
    rows = await connection.fetch(
        f"""
        select {listed("s")}, l.pos < $2 is true as is_old
          from subject s
          left join sealed l on (l.account_id, l.subject_id, l.version) = (s.account_id, s.subject_id, s.version)
         where s.account_id = any($1::uuid[])
           and s.kind = '{_KIND}'
           and (s.status <> 'removed' or l.pos is null or l.pos >= $2)""",
        list(accounts), position,
    )  # fmt: skip
    newer = [row for row in rows if not row["is_old"]]
    found = states_in([row for row in rows if row["is_old"]], Subscription)
    return found + await _evolved(connection, newer, position)


async def _evolved(connection: Transaction, newer: Sequence[asyncpg.Record], position: int) -> list[Subscription]:
    if not newer:
        return []
    rows = await connection.fetch(
        """
        select e.entry, e.private
          from event e
          join sealed l on (l.account_id, l.subject_id, l.version) = (e.account_id, e.subject_id, e.version)
         where (e.account_id, e.subject_id) in (select a, i from unnest($1::uuid[], $2::uuid[]) as k(a, i))
           and l.pos < $3
         order by e.account_id, e.subject_id, e.version""",
        [row["account_id"] for row in newer], [row["subject_id"] for row in newer], position,
    )  # fmt: skip
    found: dict[UUID, Subscription] = {}
    for fact in map(fact_in, rows):
        found[fact.subject.id] = after(found.get(fact.subject.id), fact)
    return list(found.values())


def after(state: Subscription | None, fact: Fact) -> Subscription:
    """Return the state of a subscription after one more event."""
    found = evolve(state, fact)
    if not isinstance(found, Subscription):
        raise TypeError("not an event of a subscription")
    return found
