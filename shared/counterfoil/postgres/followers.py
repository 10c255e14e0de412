"""The position of each follower of the log, and the events after it."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

import asyncpg
import msgspec

from counterfoil.core.events import Fact
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.facts import fact_in

Transaction: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""A connection that is in a transaction."""

_FAR_SECONDS: Final = 300.0
"""A follower is far behind if the event after its position is older than this."""


class LoggedEvent(NamedTuple):
    """An event, and its position in the whole log."""

    position: int
    fact: Fact


class FollowerState(msgspec.Struct, frozen=True, kw_only=True):
    """The position of a follower; the event after it happened `waiting_seconds` ago, None if there is none."""

    name: str
    position: int
    head: int
    moved_at: datetime
    moved_seconds: float
    waiting_seconds: float | None

    @property
    def lag(self) -> int:
        """How many events it has not handled."""
        return max(0, self.head - self.position)

    @property
    def status(self) -> str:
        """What an operator should think of its position."""
        if self.position == self.head:
            return "up to date"
        if self.position > self.head:
            return "beyond the log"
        if self.waiting_seconds is None:
            return "missing event"
        return "far behind" if self.waiting_seconds > _FAR_SECONDS else "behind"


async def follower_states(pool: Pool) -> list[FollowerState]:
    """Return the state of every follower that was ever started, by name."""
    rows = await pool.fetch(
        """
        select f.name, f.position, h.size as head, f.moved_at,
               extract(epoch from statement_timestamp() - f.moved_at)::float8 as moved_seconds,
               extract(epoch from statement_timestamp() - next.at)::float8 as waiting_seconds
          from follower f
          join head h on h.log_id = f.log_id
          left join lateral (
               select e.at
                 from sealed s
                 join event e on (e.account_id, e.subject_id, e.version) = (s.account_id, s.subject_id, s.version)
                where s.log_id = f.log_id
                  and s.pos = f.position + 1
                limit 1) as next on true
         where f.log_id = 0
         order by f.name"""
    )
    return [FollowerState(**dict(row)) for row in rows]


async def begin(pool: Pool, name: str, *, at_head: bool) -> None:
    """Store the first position of a follower: before all events, or `at_head` after all; keep one that it has."""
    await pool.execute(
        """
        insert into follower (name, position)
        select $1, case when $2 then size else 0 end
          from head
         where log_id = 0
            on conflict do nothing""",
        name, at_head,
    )  # fmt: skip


async def take(connection: Transaction, name: str) -> int | None:
    """Lock a follower's row and return its position; None if another worker holds it, or if it was removed."""
    position: int | None = await connection.fetchval(
        """
        select position
          from follower
         where (log_id, name) = (0, $1)
           for update skip locked""",
        name,
    )
    return position


async def events_after(connection: Transaction, position: int, *, limit: int) -> tuple[int, list[LoggedEvent]]:
    """Return the size of the log and, as of the same moment, the next events after a position."""
    # The look-up of the event has a limit, so that the planner always uses the primary key.
    rows = await connection.fetch(
        """
        select h.size, next.pos, next.entry, next.private
          from head h
          left join lateral (
               select s.pos, e.entry, e.private
                 from sealed s
                cross join lateral (
                      select entry, private
                        from event
                       where (account_id, subject_id, version) = (s.account_id, s.subject_id, s.version)
                       limit 1) as e
                where s.log_id = h.log_id
                  and s.pos > $1
                  and s.pos <= $1 + $2
                order by s.pos) as next on true
         where h.log_id = 0
         order by next.pos""",
        position, limit,
    )  # fmt: skip
    return rows[0]["size"], [LoggedEvent(row["pos"], fact_in(row)) for row in rows if row["pos"] is not None]


async def move(connection: Transaction, name: str, position: int) -> None:
    """Store that the follower has handled all events up to this position."""
    await connection.execute(
        "update follower set position = $2, moved_at = clock_timestamp() where (log_id, name) = (0, $1)",
        name, position,
    )  # fmt: skip


async def forget(pool: Pool, name: str) -> bool:
    """Remove a follower's row; return whether there was one."""
    found: str | None = await pool.fetchval("delete from follower where (log_id, name) = (0, $1) returning name", name)
    return found is not None
