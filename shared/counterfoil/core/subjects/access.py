"""The access log: reads of tokens of other owners, and of the log itself.

Each reader is a subject of its own, so that no two readers wait for the same row.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from counterfoil.core.events import Event, Fact
from counterfoil.core.principal import Actor
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import (
    Command,
    DecisionContext,
    SubjectState,
    no_command,
    unexpected,
    uuid8,
)

NAMED_LIMIT: Final = 100
"""An event names at most so many tokens; beyond that it has only their count."""

HOUR: Final = timedelta(hours=1)
"""Reads of the log by one reader are logged at most once in this time."""

What = Literal["list", "token", "past", "events", "alerts", "reads"]
"""Lists of tokens, one as it is, one as it was, its events, alerts, and these reads themselves."""
WhichLog = Literal["log", "whole_log"]
"""The log by position: the part of the reader's own account, or that of all accounts. Each has positions of its own."""


class LogRange(msgspec.Struct, frozen=True, kw_only=True):
    """The positions that were read, from the lowest to the highest; if `last` is below `first`, none was read.

    `filters` counts the calls that used each filter; those that used none stand under `none`.
    """

    first: int
    last: int
    filters: dict[str, int] = msgspec.field(default_factory=dict)

    def joined(self, other: LogRange) -> LogRange:
        """Return the range that contains both."""
        filters = self.filters | {name: self.filters.get(name, 0) + calls for name, calls in other.filters.items()}
        if other.last < other.first:
            return replace(self, filters=filters)
        if self.last < self.first:
            return replace(other, filters=filters)
        return LogRange(first=min(self.first, other.first), last=max(self.last, other.last), filters=filters)


class Read(Event, frozen=True, kw_only=True):
    """A reader made these calls in the `seconds` before, and received so many `rows`.

    `tokens` are those that were requested by id or number. `log` is the range of a read of the log by position.
    """

    reader: Actor
    calls: dict[str, int]
    rows: int
    tokens: tuple[UUID, ...]
    seconds: int
    log: LogRange | UnsetType = UNSET


EVENTS: Final[dict[str, type[Event]]] = {"read": Read}


class NoteAccess(Command, frozen=True, kw_only=True):
    """Record the reads of a reader; `id` is `access_id_of` the account and the reader.

    With a range of the log, `calls` has one key, which names the log. Within an hour of the previous event the
    command changes nothing, and the caller repeats it later.
    """

    reader: Actor
    calls: dict[str, int]
    rows: int
    tokens: tuple[UUID, ...] = ()
    seconds: int = 0
    log: LogRange | None = None


COMMANDS: Final = (NoteAccess,)


class Access(SubjectState, frozen=True, kw_only=True):
    """The total calls and rows of one reader.

    `log_read_at` is when the last event about reads of a log by position was written, by log.
    """

    reader: Actor
    calls: int
    rows: int
    log_read_at: dict[str, datetime] = msgspec.field(default_factory=dict)


def access_id_of(account: UUID, reader: Actor) -> UUID:
    """Return the id of a reader's access log, computed from the account and the reader."""
    named = b"counterfoil reads\0" + account.bytes + reader.id.bytes + reader.kind.encode()
    return uuid8(hashlib.sha256(named).digest())


def decide(log: Access | None, command: Command, context: DecisionContext) -> list[Event]:
    """Return the event of a read; reads are never refused here."""
    if not isinstance(command, NoteAccess) or command.id != access_id_of(command.account, command.reader):
        raise no_command(command)
    if command.log is not None and log is not None and _is_recorded(log, command, context.at):
        return []
    return [
        Read(
            reader=command.reader, calls=command.calls, rows=command.rows,
            tokens=command.tokens[:NAMED_LIMIT], seconds=command.seconds, log=command.log or UNSET,
        )
    ]  # fmt: skip


def _is_recorded(log: Access, command: NoteAccess, at: datetime) -> bool:
    return any(at < log.log_read_at[which] + HOUR for which in command.calls if which in log.log_read_at)


def evolve(log: Access | None, fact: Fact) -> Access:
    match fact.event:
        case Read(reader=reader, calls=calls, rows=rows, log=read_range):
            read_at = {} if read_range is UNSET else dict.fromkeys(calls, fact.at)
            count = sum(calls.values())
            if log is None:
                return Access.created(fact, reader=reader, calls=count, rows=rows, log_read_at=read_at)
            read_at = log.log_read_at | read_at
            return log.after(fact, calls=log.calls + count, rows=log.rows + rows, log_read_at=read_at)
    raise unexpected(fact)


KIND: Final = Kind("access", Access, EVENTS, COMMANDS, decide, evolve)
