"""How far each follower of the log has come, and the events that it has to do next."""

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
"""How long the next event may wait for a follower before that one counts as far behind."""


class LoggedEvent(NamedTuple):
    """What happened, and its position in the whole log."""

    position: int
    fact: Fact


class Following(msgspec.Struct, frozen=True, kw_only=True):
    """How far a follower has come; the next event happened `waiting_seconds` ago, if there is one."""

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
        """How that is to be judged."""
        if self.position == self.head:
            return "up to date"
        if self.position > self.head:
            return "beyond the log"
        if self.waiting_seconds is None:
            return "missing event"
        return "far behind" if self.waiting_seconds > _FAR_SECONDS else "behind"


async def followings(pool: Pool) -> list[Following]:
    """Return every follower that ever began, by name."""
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
    return [Following(**dict(row)) for row in rows]


async def begin(pool: Pool, name: str, *, at_head: bool) -> None:
    """Have a follower begin before the first event, or `at_head` after the last one of now; if it has, do nothing."""
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
    """Return a follower's position and hold it until the transaction ends; None if somebody holds it, or it is gone."""
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
    # The look-up of the event has a limit, so that it is one by key, whatever the planner believes of the tables.
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
    return rows[0]["size"], [_event(row) for row in rows if row["pos"] is not None]


def _event(row: asyncpg.Record) -> LoggedEvent:
    return LoggedEvent(row["pos"], fact_in(row))


async def move(connection: Transaction, name: str, position: int) -> None:
    """Note that everything up to this position is handled."""
    await connection.execute(
        "update follower set position = $2, moved_at = clock_timestamp() where (log_id, name) = (0, $1)",
        name, position,
    )  # fmt: skip


async def forget(pool: Pool, name: str) -> bool:
    """Remove a follower's row; say whether there was one."""
    found: str | None = await pool.fetchval("delete from follower where (log_id, name) = (0, $1) returning name", name)
    return found is not None
