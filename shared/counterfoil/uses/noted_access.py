"""Reads that were counted in memory, and the one way in which they become an event."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from counterfoil.core.principal import SYSTEM, Actor
from counterfoil.core.subjects.access import NAMED_LIMIT, LogRange, NoteAccess, access_id_of
from counterfoil.core.unit_of_work import Outcome

Reader = tuple[UUID, Actor]
"""Account and who."""


class Doorway(Protocol):
    """The one thing that is asked of the door."""

    async def execute(self, command: NoteAccess) -> Outcome: ...


@dataclass(slots=True)
class Noted:
    """What one reader has read and no event says yet; `since` is in seconds on the event loop's clock."""

    since: float
    calls: dict[str, int] = field(default_factory=dict)
    shown: int = 0
    tokens: dict[UUID, None] = field(default_factory=dict)
    log: LogRange | None = None

    def add(self, other: Noted) -> None:
        """Count another's reads as well."""
        self.since = min(self.since, other.since)
        for what, count in other.calls.items():
            self.calls[what] = self.calls.get(what, 0) + count
        self.shown += other.shown
        self.tokens |= other.tokens
        while len(self.tokens) > NAMED_LIMIT:
            self.tokens.popitem()
        self.log = self.log.joined(other.log) if self.log and other.log else self.log or other.log

    @property
    def range(self) -> dict[str, int]:
        """How much of the log was read, for the service's own log."""
        return {"first": self.log.first, "last": self.log.last, "shown": self.shown} if self.log else {}


async def write(door: Doorway, reader: Reader, noted: Noted) -> Outcome:
    """Have the door make an event of it."""
    account, actor = reader
    return await door.execute(
        NoteAccess(
            # By the service, about the reader: who has been ended meanwhile has read all the same.
            account=account, id=access_id_of(account, actor), by=SYSTEM, reader=actor, calls=noted.calls,
            shown=noted.shown, tokens=tuple(noted.tokens),
            seconds=int(asyncio.get_running_loop().time() - noted.since), log=noted.log,
        )
    )  # fmt: skip
