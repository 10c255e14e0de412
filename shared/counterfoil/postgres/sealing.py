"""Seal the log: give every committed event its place, in an order that no reader can miss anything of.

Transactions commit in another order than the one in which they took their numbers, so nobody can follow the log by a
number that an insert handed out. One sealer places events afterwards. Each pass places what one snapshot sees and no
earlier pass has placed, in order of insertion. Whoever saw an event and then wrote another one is seen only together
with the first, so causes come before effects, and nothing has to wait for transactions that are still open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from .connection import SETTINGS, Connection
from .session import open_session

CHANNEL: Final = "counterfoil_sealed"
"""Where the new size of the log is announced, once for each commit of the sealer."""
CHUNK: Final = 5_000
"""How many events one transaction places at most."""

_PATIENCE_SECONDS: Final = 900
"""How long one statement may take: a snapshot of a very long backlog is sorted and kept first."""
_SETTINGS: Final = {
    **SETTINGS,
    "application_name": "counterfoil sealer",
    "statement_timeout": f"{_PATIENCE_SECONDS}s",
    "lock_timeout": "1s",
    # A sealer that hangs must not keep the head of the log from the next one.
    "idle_in_transaction_session_timeout": "10s",
    "cursor_tuple_fraction": "1",
    "work_mem": "64MB",
}


class VersionOutOfOrder(Exception):  # noqa: N818 - a complaint
    """A subject's next event is not the version after its last sealed one: somebody wrote to the log past the door."""

    def __init__(self, account: UUID, subject: UUID, *, expected: int, found: int) -> None:
        super().__init__(
            f"The next version to seal of subject {subject} of account {account} has to be {expected}; it is {found}."
        )
        self.account, self.subject, self.expected, self.found = account, subject, expected, found


class Step(NamedTuple):
    """What one transaction of the sealer did."""

    sealed: int
    size: int
    finished: bool
    """Whether all that the pass's snapshot saw is sealed now."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a snapshot saw of transactions: all below `until`, except `running`."""

    epoch: int
    since: int
    until: int
    running: tuple[int, ...] = ()


@dataclass(slots=True)
class _Pass:
    """A pass under way: what its snapshot saw, and the size of the log that its last commit left."""

    seen: _Seen
    size: int


class _Place(NamedTuple):
    account: UUID
    account_position: int
    subject: UUID
    version: int


async def connect_sealer(url: str) -> Connection:
    """Open the sealer's connection."""
    return await open_session(url, _SETTINGS, command_timeout=_PATIENCE_SECONDS)


class Sealing:
    """Passes over the log, on one connection; after an error, go on with a new one of both."""

    def __init__(self, connection: Connection, *, chunk: int = CHUNK) -> None:
        self._connection = connection
        self._chunk = chunk
        self._pass: _Pass | None = None
        self._seen: _Seen | None = None

    async def has_news(self) -> bool:
        """Whether there may be something to seal: one look that writes nothing."""
        if self._pass is not None or self._seen is None:
            return True
        seen = self._seen
        found: bool = await self._connection.fetchval(
            f"select exists ({_UNSEALED})", seen.epoch, seen.until, seen.running
        )
        return found

    async def step(self) -> Step:
        """Seal one chunk of the pass under way, or begin a pass.

        Raises VersionOutOfOrder, and then has sealed nothing.
        """
        async with self._connection.transaction():
            head = await self._lock_head()
            if self._pass is not None and self._pass.size != head["size"]:
                await self._connection.execute("close sealing")  # another sealer has sealed since
                self._pass = None
            current = self._pass or await self._begin(head)
            rows = await self._connection.fetch(f"fetch forward {self._chunk} from sealing")
            await self._place(rows, current.size)
            current.size += len(rows)
            finished = len(rows) < self._chunk
            if finished:
                await self._connection.execute("close sealing")
            await self._move_head(current, finished=finished, news=bool(rows))
        self._pass = None if finished else current
        if finished:
            self._seen = current.seen
        return Step(len(rows), current.size, finished)

    async def _lock_head(self) -> asyncpg.Record:
        """Return the head of the log, which nobody else moves before this transaction ends."""
        head = await self._connection.fetchrow("select size, epoch, watermark from head where log_id = 0 for update")
        if head is None:
            raise LookupError("The table head has no row for log 0; `counterfoil migrate` makes it.")
        return head

    async def _begin(self, head: asyncpg.Record) -> _Pass:
        """Take a snapshot of all that is not sealed, as a cursor that outlives this transaction.

        It is a statement after the one that waited for the head, so that it sees what the last sealer sealed. The
        snapshot itself comes with it as a first row: taken by a statement of its own it would be another one.
        """
        since = self._seen
        if since is None or since.epoch != head["epoch"] or since.until < head["watermark"]:
            since = _Seen(head["epoch"], 0, head["watermark"])
        await self._connection.execute(
            f"""
            declare sealing no scroll cursor with hold for
            select snapshot, account_id, subject_id, version
              from (select pg_current_snapshot()::text as snapshot, null::uuid as account_id, null::uuid as subject_id,
                           null::bigint as version, 0 as ins_seq
                    union all
                    select null, account_id, subject_id, version, ins_seq
                      from ({_UNSEALED}) unsealed) scanned
             order by ins_seq""",
            since.epoch, since.until, since.running,
        )  # fmt: skip
        first = await self._connection.fetchval("fetch forward 1 from sealing")
        xmin, xmax, running = first.split(":")
        seen = _Seen(head["epoch"], int(xmin), int(xmax), tuple(map(int, running.split(",") if running else ())))
        return _Pass(seen, head["size"])

    async def _place(self, rows: Sequence[asyncpg.Record], size: int) -> None:
        """Seal these events at the places after `size`."""
        if not rows:
            return
        places = await self._places_of(rows)
        await self._connection.execute(
            """
            insert into sealed (pos, account_id, account_pos, subject_id, version)
            select $1 + place, account_id, account_pos, subject_id, version
              from unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[])
                   with ordinality as placed (account_id, account_pos, subject_id, version, place)""",
            size, *zip(*places, strict=True),
        )  # fmt: skip

    async def _places_of(self, rows: Sequence[asyncpg.Record]) -> list[_Place]:
        """Count on, for each account and each subject, from what is sealed of them."""
        accounts = dict.fromkeys(row["account_id"] for row in rows)
        subjects = dict.fromkeys((row["account_id"], row["subject_id"]) for row in rows)
        last_positions = await self._connection.fetch(
            """
            select coalesce((select max(account_pos) from sealed s where s.account_id = wanted.account_id), 0)
              from unnest($1::uuid[]) with ordinality as wanted (account_id, place)
             order by place""",
            list(accounts),
        )
        last_versions = await self._connection.fetch(
            """
            select coalesce((select max(version) from sealed s
                              where (s.account_id, s.subject_id) = (wanted.account_id, wanted.subject_id)), 0)
              from unnest($1::uuid[], $2::uuid[]) with ordinality as wanted (account_id, subject_id, place)
             order by place""",
            *zip(*subjects, strict=True),
        )
        positions = dict(zip(accounts, (row[0] for row in last_positions), strict=True))
        versions = dict(zip(subjects, (row[0] for row in last_versions), strict=True))
        places = []
        for _, account, subject, version in rows:
            expected = versions[account, subject] = versions[account, subject] + 1
            if version != expected:
                raise VersionOutOfOrder(account, subject, expected=expected, found=version)
            positions[account] += 1
            places.append(_Place(account, positions[account], subject, version))
        return places

    async def _move_head(self, current: _Pass, *, finished: bool, news: bool) -> None:
        await self._connection.execute(
            """
            update head
               set size = $1, watermark = coalesce($2::xid8, watermark),
                   passes = passes + $3, passed_at = clock_timestamp()
             where log_id = 0""",
            current.size, current.seen.since if finished else None, int(finished),
        )  # fmt: skip
        if news:
            await self._connection.execute("select pg_notify($1, $2)", CHANNEL, str(current.size))


# What is not sealed, of all that was written since a snapshot was taken: from epoch $1 and transaction $2 on, or by one
# of $3, which were still running then. Hash and merge joins are off, so that each row costs one look-up, also while
# the planner believes `sealed` to be empty.
_UNSEALED: Final = """
    select e.account_id, e.subject_id, e.version, e.ins_seq
      from event e
     where ((e.epoch, e.xid) >= ($1::smallint, $2::xid8) or (e.epoch = $1::smallint and e.xid = any($3::xid8[])))
       and not exists (select from sealed s
                        where (s.account_id, s.subject_id, s.version) = (e.account_id, e.subject_id, e.version))"""
