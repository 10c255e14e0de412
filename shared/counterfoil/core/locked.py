"""The input of a batch's decisions: the locked rows, and what was read for its commands after locking them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, Self, TypeVar, cast

from counterfoil.core.principal import Principal
from counterfoil.core.subjects.subject import Key, SubjectState


@dataclass(slots=True)
class Row:
    """A subject's state (None: it does not exist) and the leaf hash of its last entry."""

    state: SubjectState | None
    leaf: bytes | None


class CallerState(Protocol):
    """A caller's state at the moment of the decision."""

    def refuse_reduced(self, by: Principal, at: datetime) -> None:
        """Raise a Refusal if the caller may do less now than when it was authenticated."""


class Reads(Protocol):
    """What the store of one kind read for its commands; each command sees the changes of those before it."""

    def copy(self) -> Self:
        """Return an independent copy."""


R = TypeVar("R", bound=Reads)


@dataclass(slots=True)
class Locked:
    """The rows that this batch has locked, as of `clock`, the database's time; other transactions lock those in `held`.

    `callers` are the callers whose state was read again, `ended_peppers` the peppers that new secrets must not use,
    `reads` what each kind needs in addition.
    """

    clock: datetime
    rows: dict[Key, Row] = field(default_factory=dict)
    held: set[Key] = field(default_factory=set)
    callers: dict[Key, CallerState] = field(default_factory=dict)
    ended_peppers: frozenset[int] = frozenset()
    reads: dict[type[Reads], Reads] = field(default_factory=dict)

    def of(self, kind: type[R]) -> R:
        """Return the reads of this kind; empty at first."""
        return cast("R", self.reads.setdefault(kind, kind()))

    def copy(self) -> Locked:
        return replace(self, rows=dict(self.rows), reads={kind: reads.copy() for kind, reads in self.reads.items()})
