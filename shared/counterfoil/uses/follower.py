"""Calls followers of the log with every event, once and in order. Jobs read the log in no other way.

A batch of events and the position after it are committed in one transaction, so a crash repeats the whole batch or
nothing. A follower may repeat what it does outside of this transaction, such as sending a message.
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
    """The next event of the log is not at the position after the last one that a follower handled."""

    def __init__(self, name: str, *, expected: int, found: int | None, head: int) -> None:
        there = f"it has {head:,} events and none there" if found is None else f"its next event is at {found}"
        super().__init__(f"The follower {name!r} expects the log to go on at position {expected}; {there}.")
        self.expected, self.found, self.head = expected, found, head


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """A consumer of batches of events, in the order of the log.

    `apply` writes through the connection that it is given, and neither commits nor rolls back. The database ends a
    transaction that it leaves idle for a minute: then, as after any failure, the batch is repeated. A follower begins
    at the first event, or with `from_now` after the last one that there is when it is first run.
    """

    name: str
    apply: Apply
    batch_size: int = 200
    from_now: bool = False


@repeated
async def follow(pool: Pool, follower: Follower) -> int:
    """Handle the next batch and return its number of events; 0 also while another worker has the follower.

    Raises PositionOutOfOrder, or what `apply` raised; then nothing has happened.
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
    """Raise PositionOutOfOrder unless a batch has each position after this one, up to its size or the head."""
    last = min(position + follower.batch_size, head)
    found = [event.position for event in batch]
    for expected, there in zip(range(position + 1, last + 1), [*found, None], strict=False):
        if there != expected:
            raise PositionOutOfOrder(follower.name, expected=expected, found=there, head=head)
    if position > head:
        raise PositionOutOfOrder(follower.name, expected=position + 1, found=None, head=head)
