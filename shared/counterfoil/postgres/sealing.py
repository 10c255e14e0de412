"""Seal the log: give every committed event a position, so that no reader misses an event.

Transactions do not commit in the order in which they took their sequence numbers, so a reader that follows those
numbers would miss events. One sealer therefore gives positions after the commit. Each pass takes one snapshot and
places the events that it sees and no earlier pass has placed, in order of insertion. A snapshot that sees an effect
also sees its cause, so causes come before effects. The sealer never waits for open transactions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from counterfoil.postgres.connection import SETTINGS, Connection
from counterfoil.postgres.placing import HeadOutOfStep, place
from counterfoil.postgres.session import open_session

CHANNEL: Final = "counterfoil_sealed"
"""Where the new size of the log is announced, once for each commit of the sealer."""
CHUNK: Final = 5_000
"""The most events that one transaction seals."""

_PATIENCE_MINUTES: Final = 15
"""How long one statement may take: a snapshot of a very long backlog is sorted and kept first."""
_SETTINGS: Final = {
    **SETTINGS,
    "application_name": "counterfoil sealer",
    "statement_timeout": f"{_PATIENCE_MINUTES}min",
    "lock_timeout": "1s",
    # A hanging sealer must not lock the head of the log against the next one.
    "idle_in_transaction_session_timeout": "10s",
    # The number of rows differs from pass to pass, by up to a million.
    "plan_cache_mode": "force_custom_plan",
    "cursor_tuple_fraction": "1",
    "max_parallel_workers_per_gather": "0",
    "work_mem": "64MB",
}


class Step(NamedTuple):
    """The result of one transaction of the sealer."""

    sealed: int
    size: int
    finished: bool
    """Whether every event in the snapshot of the pass is sealed now."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a snapshot saw of transactions: all below `until`, except `running`."""

    epoch: int
    since: int
    until: int
    running: tuple[int, ...] = ()


class _Mark(NamedTuple):
    """A moment, and a transaction that began then: all earlier ones have ended once the watermark is there."""

    at: datetime
    until: int


@dataclass(slots=True)
class _Pass:
    """A pass under way: what its snapshot saw, the size of the log that its last commit left, and when it began."""

    seen: _Seen
    size: int
    mark: _Mark


async def connect_sealer(url: str) -> Connection:
    """Open the sealer's connection."""
    return await open_session(url, _SETTINGS, command_timeout=60 * _PATIENCE_MINUTES)


class Sealing:
    """Passes over the log on one connection. After an error, continue with a new object and a new connection."""

    def __init__(self, connection: Connection, *, chunk: int = CHUNK) -> None:
        self._connection = connection
        self._chunk = chunk
        self._pass: _Pass | None = None
        self._seen: _Seen | None = None
        self._mark: _Mark | None = None

    async def has_news(self) -> bool:
        """Whether there may be something to seal; writes nothing."""
        if self._pass is not None or self._seen is None:
            return True
        seen = self._seen
        found: bool = await self._connection.fetchval(
            f"select exists ({_UNSEALED})", seen.epoch, seen.until, seen.running
        )
        return found

    async def step(self) -> Step:
        """Seal one chunk of the pass under way, or begin a pass.

        Raises LogBroken, and then has sealed nothing.
        """
        async with self._connection.transaction():
            head = await self._lock_head()
            if self._pass is not None and self._pass.size != head["size"]:
                await self._connection.execute("close sealing")  # another sealer has sealed since
                self._pass = None
            current = self._pass or await self._begin(head)
            rows = await self._connection.fetch(f"fetch forward {self._chunk} from sealing")
            await place(self._connection, rows, after=current.size)
            current.size += len(rows)
            finished = len(rows) < self._chunk
            if finished:
                await self._connection.execute("close sealing")
            await self._move_head(current, finished=finished)
            if rows:
                await self._connection.execute("select pg_notify($1, $2)", CHANNEL, str(current.size))
        self._pass = None if finished else current
        if finished:
            self._seen = current.seen
        return Step(len(rows), current.size, finished)

    async def _lock_head(self) -> asyncpg.Record:
        """Return the head of the log, locked until this transaction ends.

        The watermark of another server, from which this database was copied, says nothing here: all is looked at.
        """
        head = await self._connection.fetchrow(
            """
            select size, epoch, case when server = (select system_identifier from pg_control_system())
                                     then watermark else '0' end as watermark,
                   pg_current_xact_id() as xid, clock_timestamp() as now
              from head
             where log_id = 0
               for update"""
        )
        if head is None:
            raise LookupError("The table head has no row for log 0; `counterfoil migrate` makes it.")
        return head

    async def _begin(self, head: asyncpg.Record) -> _Pass:
        """Take a snapshot of all unsealed events, as a cursor that outlives this transaction.

        It is a statement after the one that waited for the head, so that it sees what the last sealer sealed. The
        snapshot itself comes with it as a first row: taken by a statement of its own it would be another one.
        Raises HeadOutOfStep.
        """
        last = await self._connection.fetchval("select coalesce(max(pos), 0) from sealed where log_id = 0")
        if last != head["size"]:
            raise HeadOutOfStep(head["size"], last)
        since = self._seen
        if since is None or since.epoch != head["epoch"] or since.until < head["watermark"]:
            since = _Seen(head["epoch"], 0, head["watermark"])
        await self._connection.execute(
            f"""
            declare sealing no scroll cursor with hold for
            select account_id, subject_id, version, snapshot
              from (select pg_current_snapshot()::text as snapshot, null::uuid as account_id, null::uuid as subject_id,
                           null::bigint as version, 0 as ins_seq
                    union all
                    select null, account_id, subject_id, version, ins_seq
                      from ({_UNSEALED}) unsealed) scanned
             order by ins_seq""",
            since.epoch, since.until, since.running,
        )  # fmt: skip
        first = await self._connection.fetchval("fetch forward 1 from sealing", column=3)
        xmin, xmax, running = first.split(":")
        seen = _Seen(head["epoch"], int(xmin), int(xmax), tuple(map(int, running.split(",") if running else ())))
        return _Pass(seen, head["size"], _Mark(head["now"], head["xid"]))

    async def _move_head(self, current: _Pass, *, finished: bool) -> None:
        """Store the size of the log, and that the sealer runs."""
        await self._connection.execute(
            """
            update head
               set size = $1, watermark = coalesce($2::xid8, watermark), watermark_at = coalesce($3, watermark_at),
                   passes = passes + $4, passed_at = clock_timestamp(),
                   server = case when $2 is null then server
                                 else (select system_identifier from pg_control_system()) end
             where log_id = 0""",
            current.size, current.seen.since if finished else None, self._stood_at(current) if finished else None,
            int(finished),
        )  # fmt: skip

    def _stood_at(self, current: _Pass) -> datetime | None:
        """Return a time at which the watermark had reached all earlier transactions, if it has advanced since.

        Under load some transaction is always open, so the watermark never reaches the newest one. The sealer therefore
        marks a moment, and waits until every transaction that began before it has ended.
        """
        reached = [mark for mark in (self._mark, current.mark) if mark and current.seen.since >= mark.until]
        if reached or self._mark is None:
            self._mark = current.mark
        return reached[-1].at if reached else None


# The unsealed events that were written since a snapshot: in epoch $1 from transaction $2 on, or by one of the
# transactions $3, which were still running then. Three parts, since one condition with `or` is planned as a scan of
# the primary key. Hash and merge joins are off, so that each row costs one look-up, also while the planner believes
# `sealed` to be empty.
_UNSEALED: Final = """
    select e.account_id, e.subject_id, e.version, e.ins_seq
      from (select account_id, subject_id, version, ins_seq
              from event
             where epoch = $1::smallint
               and xid >= $2::xid8
            union all
            select account_id, subject_id, version, ins_seq
              from event
             where epoch = $1::smallint
               and xid = any($3::xid8[])
            union all
            select account_id, subject_id, version, ins_seq
              from event
             where epoch > $1::smallint) e
     where not exists (select from sealed s
                        where (s.account_id, s.subject_id, s.version) = (e.account_id, e.subject_id, e.version))"""
