"""Reads of the sealed log by position, one window at a time.

A window limits how many rows a statement reads, not only how many it returns. So a filter that matches almost nothing
does not make a statement run for minutes. `reached` says up to which position the window has read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from counterfoil.core.principal import Actor
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.halving import halving
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import Tenant, moment, tenant

LOOKED_AT: Final = 10_000
"""The most positions (or versions of one subject) that one window reads."""
_BYTES: Final = 4 * 2**20
_ROWS: Final = 250
"""Rows that the database sends at a time; a window ends as soon as its rows have `_BYTES` in total."""

# The filter on the rows that a window reads. The look-up of the event has a limit, so that the planner always uses the
# primary key, although its statistics of growing tables are old.
_EVENTS: Final = """
 cross join lateral (
       select account_id, kind, subject_id, version, type, at, entry, private, salt
         from event
        where (account_id, subject_id, version) = (s.account_id, s.subject_id, s.version)
        limit 1) as e
 where ($4::text[] is null or e.kind = any($4))
   and ($5::text[] is null or e.type = any($5))
   and ($6::timestamptz is null or e.at >= $6)
   and ($7::timestamptz is null or e.at < $7)
   and ($8::text[] is null or (e.entry::json -> 'by' ->> 'id') = any($8))
 order by s.position"""
_COLUMNS: Final = "s.position, e.account_id, e.kind, e.subject_id, e.version, e.type, e.at, e.entry, e.private, e.salt"

_WHOLE: Final = f"""
select {_COLUMNS}
  from (select pos as position, account_id, subject_id, version
          from sealed
         where log_id = 0 and pos > $1 and pos <= $2 and ($3::uuid is null or subject_id = $3)
         order by pos) as s{_EVENTS}"""
_ACCOUNT: Final = f"""
select {_COLUMNS}
  from (select account_pos as position, account_id, subject_id, version
          from sealed
         where account_id = $3 and account_pos > $1 and account_pos <= $2
         order by account_pos) as s{_EVENTS}"""
_SUBJECT: Final = f"""
select {_COLUMNS}
  from (select account_pos as position, account_id, subject_id, version
          from sealed
         where account_id = $3 and subject_id = $9 and version > $1 and version <= $1 + $10
           and account_pos <= $2
         order by version) as s{_EVENTS}"""

# Versions of a subject grow with their positions. `last` is the position of the last version that one window reads;
# null if the subject has fewer versions.
_PLACE: Final = f"""{halving("sealed", "account_pos")}
select low as version, (select account_pos
                          from sealed
                         where (account_id, subject_id, version) = ($1, $2, low + $4)
                         limit 1) as last
  from halving
 where low = high"""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Matches events that have all stated fields; an empty filter matches all events.

    Its times are absolute, so that it means the same in every window.
    """

    subject: UUID | None = None
    kinds: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    actors: tuple[UUID, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    @property
    def hides(self) -> bool:
        """Whether it has conditions besides the subject."""
        return bool(self.kinds or self.types or self.actors or self.since or self.until)

    def admits(self, event: SealedEvent) -> bool:
        """Return whether the filter matches an event; the same conditions as in the statements of `window`."""
        return (
            (self.subject is None or event.subject == self.subject)
            and (not self.kinds or event.kind in self.kinds)
            and (not self.types or event.type in self.types)
            and (self.since is None or event.at >= self.since)
            and (self.until is None or event.at < self.until)
            and (not self.actors or _actor_of(event.entry) in self.actors)
        )


class SealedEvent(NamedTuple):
    """One event at its position. The API decides whether a reader may see its private part."""

    position: int
    account: UUID
    kind: str
    subject: UUID
    version: int
    type: str
    at: datetime
    entry: str
    private: str | None
    salt: bytes | None


class Window(NamedTuple):
    """The matching events of a window, and the position up to which it read."""

    events: list[SealedEvent]
    reached: int


@repeated
async def head_of(pool: Pool, account: UUID | None) -> int:
    """Return the last position of an account's log, or of the whole log; 0 if it is empty."""
    async with _reading(pool, account) as connection:
        return await _head(connection, account)


async def size_of(connection: Tenant | Connection) -> int:
    """Return the last position of the whole log; 0 if it is empty."""
    size: int = await connection.fetchval("select size from head where log_id = 0")
    return size


async def last_positions(pool: Pool, *, after: int, until: int) -> dict[UUID, int]:
    """Return the last position in each account's log of the events between these positions of the whole log."""
    rows = await pool.fetch(
        """
        select account_id, max(account_pos)
          from sealed
         where log_id = 0 and pos > $1 and pos <= $2
         group by account_id""",
        after, until,
    )  # fmt: skip
    return {account: position for account, position in rows}  # noqa: C416 - a record is no tuple to mypy


@repeated
async def window(
    pool: Pool,
    account: UUID | None,
    *,
    after: int,
    until: int,
    filter: LogFilter,  # noqa: A002 - what else to call it
    limit: int,
) -> Window:
    """Return events beyond `after` up to `until` in the order of the log, `limit` at most.

    With an account this reads the account's log behind row-level security, with None the whole log by its positions.
    """
    async with _reading(pool, account) as connection:
        until = min(until, await _head(connection, account))
        if until <= after:
            return Window([], after)
        looks = LOOKED_AT if filter.hides or (account is None and filter.subject) else limit
        if account is not None and filter.subject is not None:
            version, last = await _place(connection, account, filter.subject, after=after, looks=looks)
            looked_at = until if last is None else min(until, last)
            arguments = (version, looked_at, account, *_arguments(filter), filter.subject, looks)
            return await _found(connection, _SUBJECT, arguments, looked_at=looked_at, limit=limit)
        looked_at = min(until, after + looks)
        statement, whose = (_WHOLE, filter.subject) if account is None else (_ACCOUNT, account)
        arguments = (after, looked_at, whose, *_arguments(filter))
        return await _found(connection, statement, arguments, looked_at=looked_at, limit=limit)


def _arguments(wanted: LogFilter) -> tuple[object, ...]:
    actors = [str(actor) for actor in wanted.actors]
    return (list(wanted.kinds) or None, list(wanted.types) or None, wanted.since, wanted.until, actors or None)


async def _found(
    connection: Tenant, statement: str, arguments: tuple[object, ...], *, looked_at: int, limit: int
) -> Window:
    """Read events from a cursor until there are `limit` events or `_BYTES` bytes."""
    cursor = await connection.cursor(statement, *arguments)
    events: list[SealedEvent] = []
    length = 0
    while len(events) < limit and length < _BYTES:
        asked = min(_ROWS, limit - len(events))
        found = [SealedEvent(*row) for row in await cursor.fetch(asked)]
        events += found
        length += sum(len(event.entry) + len(event.private or "") for event in found)
        if len(found) < asked:
            return Window(events, looked_at)
    return Window(events, events[-1].position)


async def _place(connection: Tenant, account: UUID, subject: UUID, *, after: int, looks: int) -> tuple[int, int | None]:
    place = await connection.fetchrow(_PLACE, account, subject, after, looks)
    assert place is not None  # noqa: S101 - halving always ends
    return place["version"], place["last"]


async def _head(connection: Tenant, account: UUID | None) -> int:
    if account is None:
        return await size_of(connection)
    position: int | None = await connection.fetchval(
        "select account_pos from sealed where account_id = $1 order by account_pos desc limit 1", account
    )
    return position or 0


@asynccontextmanager
async def _reading(pool: Pool, account: UUID | None) -> AsyncIterator[Tenant]:
    """Lend a connection with one snapshot: of one account's rows, or of all."""
    if account is not None:
        async with tenant(pool, account, "event", "sealed") as connection:
            yield connection
        return
    async with moment(pool, "event", "head", "sealed") as connection:
        yield connection


class _By(msgspec.Struct, frozen=True):
    by: Actor


_signed: Final = msgspec.json.Decoder(_By)


@lru_cache(maxsize=256)  # many streams filter the same event; an entry can have 64 KB
def _actor_of(entry: str) -> UUID:
    return _signed.decode(entry).by.id
