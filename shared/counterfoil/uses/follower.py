"""Calls each follower of the log with every event in order. Worker jobs that act on events use only this.

One transaction commits what a follower writes for a batch and its new position. After a crash the batch is either
done, or handled again from the start. So an effect outside the transaction, such as a message, may happen twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from counterfoil.postgres import followers as sql
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.followers import LoggedEvent, Transaction
from counterfoil.postgres.schema_changes import repeated

Apply: TypeAlias = Callable[[Transaction, Sequence[LoggedEvent]], Awaitable[None]]


class PositionOutOfOrder(Exception):  # noqa: N818 - named like the refusals
    """The event at the position that a follower needs next is missing from the log."""

    def __init__(self, name: str, *, expected: int, found: int | None, head: int) -> None:
        there = f"it has {head:,} events and none there" if found is None else f"its next event is at {found}"
        super().__init__(f"The follower {name!r} expects the log to go on at position {expected}; {there}.")
        self.expected, self.found, self.head = expected, found, head


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """A consumer of batches of events, in the order of the log.

    `apply` writes with the connection that it receives, and does not commit or roll back. If it raises, or leaves the
    transaction idle for a minute, the batch is handled again. A new follower begins with the first event, or with
    `from_now` after the last event that exists then.
    """

    name: str
    apply: Apply
    batch_size: int = 200
    from_now: bool = False


@repeated
async def follow(pool: Pool, follower: Follower) -> int:
    """Handle the next batch and return how many events it had; 0 if another worker has locked the follower.

    Raises PositionOutOfOrder, or the error of `apply`; then the transaction is rolled back.
    """
    async with pool.acquire() as connection, connection.transaction():
        position = await sql.take(connection, follower.name)
        if position is None:
            return 0
        head, batch = await sql.events_after(connection, position, limit=follower.batch_size)
        refuse_disorder(follower, position, batch, head)
        if batch:
            await follower.apply(connection, batch)
            await sql.move(connection, follower.name, batch[-1].position)
        return len(batch)


def refuse_disorder(follower: Follower, position: int, batch: Sequence[LoggedEvent], head: int) -> None:
    """Raise PositionOutOfOrder unless a batch has all positions after this one, up to its size or the head."""
    last = min(position + follower.batch_size, head)
    found = [event.position for event in batch]
    for expected, there in zip(range(position + 1, last + 1), [*found, None], strict=False):
        if there != expected:
            raise PositionOutOfOrder(follower.name, expected=expected, found=there, head=head)
    if position > head:
        raise PositionOutOfOrder(follower.name, expected=position + 1, found=None, head=head)
