"""The queue of deliveries: the follower adds them; workers lease a subscription and send what is due of it.

A lease is for one subscription, so that a slow receiver delays only itself, and at most one worker sends to it. Whoever
adds, cancels or releases locks the row of the subscription first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from counterfoil.core.events import Fact
from counterfoil.core.subjects.subscription import Subscription
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.webhooks import DAYS
from counterfoil.postgres import subject_row, token_row
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.facts import fact_in
from counterfoil.postgres.followers import Transaction
from counterfoil.postgres.subject_row import states_in

LEASE_SECONDS: Final = 60
"""Longer than a turn; after a crash a subscription waits for so long."""
TURN: Final = 8
"""Deliveries of one subscription that are sent side by side."""
_PER_ACCOUNT: Final = 4
"""Subscriptions of one account that are served at once, by all workers together."""


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a subscription wants; `generation` is that of the token's secret at the event."""

    id: UUID
    account: UUID
    subscription: UUID
    subject: UUID
    version: int
    position: int
    type: str
    generation: int | None


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription that this worker serves until `leased_until`; `secrets` are encrypted, the present one first."""

    subscription: Subscription
    leased_until: datetime
    failures: int
    secrets: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Lane({self.subscription.id})"


class DueDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery whose attempt begins `at` this time, with its event, and its token as it is now.

    The token of a test message is None.
    """

    id: UUID
    at: datetime
    attempts: int
    late: bool
    generation: int | None
    fact: Fact
    token: Token | None


async def add(connection: Transaction, deliveries: Sequence[NewDelivery]) -> None:
    """Add deliveries and wake their subscriptions; those of subscriptions that have ended meanwhile are cancelled."""
    keys = sorted({(each.account, each.subscription) for each in deliveries})
    accounts, ids = [key[0] for key in keys], [key[1] for key in keys]
    # Two statements: the second one sees every end that the locks have waited for.
    await connection.execute(
        """
          with locked as (
               select s.account_id, s.subscription_id
                 from subscription s
                where (s.account_id, s.subscription_id) in (select a, i from unnest($1::uuid[], $2::uuid[]) as k(a, i))
                order by s.account_id, s.subscription_id
                  for update)
        update subscription s
           set due_at = least(s.due_at, clock_timestamp())
          from locked
         where (s.account_id, s.subscription_id) = (locked.account_id, locked.subscription_id)""",
        accounts, ids,
    )  # fmt: skip
    await connection.execute(
        """
        insert into delivery (account_id, delivery_id, subscription_id, subject_id, version, position, type, generation,
                              status, reason, ended_at)
        select n.account_id, n.delivery_id, n.subscription_id, n.subject_id, n.version, n.position, n.type,
               n.generation, case when s.status in ('active', 'paused') then 'pending' else 'cancelled' end,
               case when s.status in ('active', 'paused') then null else s.status end,
               case when s.status in ('active', 'paused') then null else clock_timestamp() end
          from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::text[],
                      $8::bigint[])
               as n(account_id, delivery_id, subscription_id, subject_id, version, position, type, generation)
          join subject s on (s.account_id, s.subject_id) = (n.account_id, n.subscription_id)
            on conflict do nothing""",
        *zip(*(_cells(each) for each in deliveries), strict=True),
    )


def _cells(each: NewDelivery) -> tuple[object, ...]:
    return (
        each.account, each.id, each.subscription, each.subject, each.version, each.position, each.type, each.generation,
    )  # fmt: skip


async def lease(pool: Pool, *, limit: int) -> list[Lane]:
    """Lease up to `limit` active subscriptions that have something due, those first that waited longest."""
    rows = await pool.fetch(
        f"""
          with busy as (
               select account_id, count(*) as lanes
                 from subscription
                where leased_until > clock_timestamp()
                group by account_id),
               due as (
               select s.account_id, s.subscription_id, s.served_at,
                      row_number() over (partition by s.account_id order by s.served_at) + coalesce(b.lanes, 0) as place
                 from subscription s
                 join subject u on (u.account_id, u.subject_id) = (s.account_id, s.subscription_id)
                 left join busy b on b.account_id = s.account_id
                where s.due_at <= clock_timestamp()
                  and greatest(s.rests_until, s.leased_until) <= clock_timestamp()
                  and u.status = 'active'),
               free as (
               select s.account_id, s.subscription_id
                 from subscription s
                 join due d on (d.account_id, d.subscription_id) = (s.account_id, s.subscription_id)
                where d.place <= {_PER_ACCOUNT:d}
                  and greatest(s.rests_until, s.leased_until) <= clock_timestamp()
                order by d.served_at
                limit $1
                  for update of s skip locked)
        update subscription s
           set leased_until = clock_timestamp() + interval '{LEASE_SECONDS:d} seconds', served_at = clock_timestamp()
          from free f
          join subject u on (u.account_id, u.subject_id) = (f.account_id, f.subscription_id)
         where (s.account_id, s.subscription_id) = (f.account_id, f.subscription_id)
        returning {subject_row.listed("u")}, s.leased_until, s.failures, s.secret,
                  case when s.previous_until > clock_timestamp() then s.previous_secret end as previous_secret""",
        limit,
    )
    return [
        Lane(
            subscription=subscription, leased_until=row["leased_until"], failures=row["failures"],
            secrets=tuple(secret for secret in (row["secret"], row["previous_secret"]) if secret is not None),
        )
        for row in rows
        for subscription in states_in([row], Subscription)
    ]  # fmt: skip


async def take(pool: Pool, lane: Lane) -> list[DueDelivery]:
    """Begin an attempt of what is due of a leased subscription; of an ordered one only of the first pending."""
    ordered = lane.subscription.ordered
    due = "next_attempt_at <= clock_timestamp()"
    rows = await pool.fetch(
        f"""
          with begun as (
               update delivery
                  set attempts = attempts + 1, attempted_at = clock_timestamp()
                where account_id = $1
                  and delivery_id in (select delivery_id
                                        from delivery
                                       where (account_id, subscription_id) = ($1, $2)
                                         and status = 'pending'
                                         and {"true" if ordered else due}
                                       order by {"position" if ordered else "next_attempt_at"}
                                       limit {1 if ordered else TURN:d})
                  and {due}
               returning *)
        select d.delivery_id, d.attempted_at, d.attempts, d.generation as generation_then, e.entry, e.private,
               t.token_id is not null as has_token,
               coalesce(d.redelivered_at, d.created_at) < clock_timestamp() - interval '{DAYS:d} days' as late,
               {token_row.listed("t")}
          from begun d
          join event e on (e.account_id, e.subject_id, e.version) = (d.account_id, d.subject_id, d.version)
          left join token t on (t.account_id, t.token_id) = (d.account_id, d.subject_id)
         order by d.position""",
        lane.subscription.account, lane.subscription.id,
    )  # fmt: skip
    return [
        DueDelivery(
            id=row["delivery_id"], at=row["attempted_at"], attempts=row["attempts"], late=row["late"],
            generation=row["generation_then"],
            fact=fact_in(row), token=token_row.token_of(row) if row["has_token"] else None,
        )
        for row in rows
    ]  # fmt: skip


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt; one that is still `pending` is repeated after `wait_seconds`.

    Its receiver asked to be left alone for `rest_seconds` (Retry-After).
    """

    status: str
    reason: str | None = None
    wait_seconds: float = 0.0
    rest_seconds: float = 0.0
    response_status: int | None = None
    excerpt: str | None = None


async def note(pool: Pool, lane: Lane, delivery: DueDelivery, result: Result) -> None:
    """Store what came of an attempt, unless the delivery has ended or was repeated meanwhile."""
    await pool.execute(
        """
        update delivery
           set status = $4, reason = $5, response_status = $7, excerpt = $8,
               next_attempt_at = clock_timestamp() + make_interval(secs => $6::float8),
               ended_at = case when $4 <> 'pending' then clock_timestamp() end
         where (account_id, delivery_id) = ($1, $2)
           and status = 'pending'
           and (attempts = $3 or $4 = 'delivered')""",
        lane.subscription.account, delivery.id, delivery.attempts, result.status, result.reason, result.wait_seconds,
        result.response_status, result.excerpt,
    )  # fmt: skip


async def release(pool: Pool, lane: Lane, *, failures: int, rest_seconds: float) -> None:
    """End the lease, and note when the subscription is due next: after a rest, or with its next delivery."""
    first = "order by position limit 1" if lane.subscription.ordered else "order by next_attempt_at limit 1"
    key = lane.subscription.account, lane.subscription.id
    async with pool.acquire() as connection, connection.transaction():
        # A statement of its own: the next one sees every delivery whose follower held the lock before.
        await _lock(connection, *key)
        await connection.execute(
            f"""
            update subscription
               set leased_until = '-infinity', failures = $4,
                   rests_until = clock_timestamp() + make_interval(secs => $5::float8),
                   due_at = (select next_attempt_at
                               from delivery
                              where (account_id, subscription_id) = ($1, $2)
                                and status = 'pending'
                              {first})
             where (account_id, subscription_id) = ($1, $2)
               and leased_until = $3""",
            *key, lane.leased_until, failures, rest_seconds,
        )  # fmt: skip


async def _lock(connection: Connection | Transaction, account: UUID, subscription: UUID) -> None:
    await connection.execute(
        "select from subscription where (account_id, subscription_id) = ($1, $2) for update", account, subscription
    )
