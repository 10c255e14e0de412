"""Reads: who looked at tokens that are not their own, or at the log itself; what only looks leaves a trace as well.

One subject for each reader, so that no two readers ever wait for the same row.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal
from uuid import UUID

from counterfoil.events import Event, Fact
from counterfoil.principal import Actor

from .small import Around, Small, SubjectCommand, born, grown, no_command, unexpected

NAMED_LIMIT: Final = 100
"""Tokens that one event names; of more only the count is kept."""

What = Literal["list", "token", "past", "events", "alerts", "reads"]
"""Lists of tokens, one as it is, one as it was, its events, alerts, and these reads themselves."""


class Read(Event, frozen=True, kw_only=True):
    """Somebody asked so often for this, in the `seconds` before, and was shown so many rows.

    `tokens` are those that were asked for by name.
    """

    reader: Actor
    calls: dict[str, int]
    shown: int
    tokens: tuple[UUID, ...]
    seconds: int


EVENTS: Final[dict[str, type[Event]]] = {"read": Read}


class NoteReads(SubjectCommand, frozen=True, kw_only=True):
    """Note what somebody has read; `id` is `log_of` the account and the reader."""

    reader: Actor
    calls: dict[str, int]
    shown: int
    tokens: tuple[UUID, ...] = ()
    seconds: int = 0


COMMANDS: Final = (NoteReads,)


class Log(Small, frozen=True, kw_only=True):
    """What one reader has read so far: calls of every kind, and rows."""

    reader: Actor
    calls: int
    shown: int


def log_of(account: UUID, reader: Actor) -> UUID:
    """Return the id under which the reads of one reader stand: a UUIDv8 made of nothing but the two."""
    made = hashlib.sha256(b"counterfoil reads\0" + account.bytes + reader.id.bytes + reader.kind.encode()).digest()
    return UUID(int=int.from_bytes(made[:16]) & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62)


def decide(_log: Log | None, command: SubjectCommand, _: Around) -> list[Event]:
    """Return what happens if this is asked of this log; that somebody read is not to be refused."""
    if not isinstance(command, NoteReads) or command.id != log_of(command.account, command.reader):
        raise no_command(command)
    return [
        Read(
            reader=command.reader, calls=command.calls, shown=command.shown,
            tokens=command.tokens[:NAMED_LIMIT], seconds=command.seconds,
        )
    ]  # fmt: skip


def evolve(log: Log | None, fact: Fact) -> Log:
    """Return the state after one more thing happened."""
    match fact.event:
        case Read(reader=reader, calls=calls, shown=shown):
            if log is None:
                return born(Log, fact, reader=reader, calls=sum(calls.values()), shown=shown)
            return grown(log, fact, calls=log.calls + sum(calls.values()), shown=log.shown + shown)
    raise unexpected(fact)
