"""Deliveries for readers: pages of them, one of them, and the end of old ones. `delivery_queue` is for the workers."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from counterfoil.core.webhooks import DAYS
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.forgetting import in_batches, some_rows
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import tenant

Status = Literal["pending", "delivered", "dead", "cancelled"]

KEPT_DAYS: Final = 30
"""How long a delivery that has ended is kept."""
_COLUMNS: Final = (
    "delivery_id, subscription_id, subject_id, version, position, type, status, reason, attempts, created_at,"
    " next_attempt_at, attempted_at, ended_at, response_status, excerpt"
)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one subscription; `delivery_id` is the webhook-id of all attempts."""

    delivery_id: UUID
    subscription_id: UUID
    subject_id: UUID
    version: int
    position: int
    type: str
    status: Status
    reason: str | None
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    attempted_at: datetime | None
    ended_at: datetime | None
    response_status: int | None
    excerpt: str | None


@repeated
async def deliveries_of(
    pool: Pool,
    account: UUID,
    subscription: UUID,
    *,
    status: Status | None,
    before: tuple[int, UUID] | None,
    limit: int,
) -> list[Delivery]:
    """Return deliveries of a subscription, the latest events first, before a place (position and id)."""
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            f"""
            select {_COLUMNS}
              from delivery
             where (account_id, subscription_id) = ($1, $2)
               and ($3::text is null or status = $3)
               and ($4::bigint is null or (position, delivery_id) < ($4, $5::uuid))
             order by position desc, delivery_id desc
             limit $6""",
            account, subscription, status, before and before[0], before and before[1], limit,
        )  # fmt: skip
    return [Delivery(**dict(row)) for row in rows]


@repeated
async def delivery_by_id(pool: Pool, account: UUID, subscription: UUID, delivery: UUID) -> Delivery | None:
    """Return one delivery of a subscription."""
    async with tenant(pool, account) as connection:
        row = await connection.fetchrow(
            f"select {_COLUMNS} from delivery where (account_id, subscription_id, delivery_id) = ($1, $2, $3)",
            account, subscription, delivery,
        )  # fmt: skip
    return None if row is None else Delivery(**dict(row))


class DeliveryCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The deliveries of all accounts: pending ones, and those that died within a day.

    `overdue_seconds` is how long the most overdue subscription has waited for a worker, `failing` how many
    subscriptions failed at their last attempt.
    """

    pending: int
    dead: int
    overdue_seconds: float
    failing: int


async def delivery_counts(pool: Pool) -> DeliveryCounts:
    """Return the counts for the metrics."""
    row = await pool.fetchrow(
        """
        select (select count(*) from delivery where status = 'pending') as pending,
               (select count(*)
                  from delivery
                 where status = 'dead'
                   and ended_at > statement_timestamp() - interval '1 day') as dead,
               (select coalesce(greatest(0, extract(epoch from statement_timestamp()
                                                - min(greatest(s.due_at, s.rests_until, s.leased_until)))), 0)::float8
                  from subscription s
                  join subject u on (u.account_id, u.subject_id) = (s.account_id, s.subscription_id)
                 where s.due_at <= statement_timestamp()
                   and u.status = 'active') as overdue_seconds,
               (select count(*) from subscription where failures > 0) as failing"""
    )
    if row is None:
        raise LookupError("an aggregate has a row")
    return DeliveryCounts(**dict(row))


async def end_orphans(pool: Pool) -> int:
    """Cancel what is still pending of subscriptions that were removed or disabled; return how many."""
    orphans = some_rows(
        "delivery",
        """old.status = 'pending'
           and not exists (select from subject s
                            where (s.account_id, s.subject_id) = (old.account_id, old.subscription_id)
                              and s.status in ('active', 'paused'))""",
    )
    return await in_batches(
        pool,
        f"""
        update delivery
           set status = 'cancelled', reason = 'removed or disabled', ended_at = clock_timestamp()
         where {orphans}""",
    )


async def give_up(pool: Pool) -> int:
    """Give up what has been pending for too long without its turn, paused or not; return how many.

    So a receiver that stays away has a bounded backlog.
    """
    old = some_rows(
        "delivery",
        f"""old.status = 'pending'
            and coalesce(old.redelivered_at, old.created_at) < statement_timestamp() - interval '{DAYS + 1:d} days'""",
    )
    return await in_batches(
        pool,
        f"""
        update delivery
           set status = 'dead', reason = coalesce(reason, 'It was not sent in time.'), ended_at = clock_timestamp()
         where {old}""",
    )


async def forget(pool: Pool) -> int:
    """Delete deliveries that ended long ago; return how many."""
    old = some_rows("delivery", f"old.ended_at < statement_timestamp() - interval '{KEPT_DAYS:d} days'")
    return await in_batches(pool, f"delete from delivery where {old}")
