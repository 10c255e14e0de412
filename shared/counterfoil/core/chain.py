"""Check one subject's history link by link, and recompute its state from the entries alone.

Pure. Every difference becomes a Finding, never an exception, so that an audit runs to the end.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from counterfoil.core import codec
from counterfoil.core.codec import Entry
from counterfoil.core.events import Fact
from counterfoil.core.kinds import EVENTS, evolve
from counterfoil.core.subjects.subject import SubjectState
from counterfoil.core.subjects.token.events import Erased
from counterfoil.core.subjects.token.state import Token

ERASABLE: Final = frozenset({"name", "description", "metadata", "reason", "filter"})
"""Fields of a state that come from private parts."""
_SHOWN: Final = 120


class Stored(NamedTuple):
    """The row of an event."""

    account: UUID
    kind: str
    subject: UUID
    version: int
    type: str
    at: datetime
    entry: str
    private: str | None
    salt: bytes | None


class StateRow(NamedTuple):
    """The row of a subject's state; `state` is None if it cannot be read."""

    account: UUID
    subject: UUID
    state: SubjectState | None
    leaf: bytes


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A difference: of which subject, which one, and the stored and the replayed value, as JSON has them."""

    account: UUID
    subject: UUID
    kind: str
    what: str
    version: int | None = None
    position: int | None = None
    field: str | None = None
    stored: object = None
    replayed: object = None


class Chain:
    """The history of one subject so far: add every event in order, then compare its rows."""

    __slots__ = ("_leaf", "account", "at", "broken", "events", "hidden", "kind", "state", "subject", "version")

    def __init__(self, account: UUID, subject: UUID) -> None:
        self.account = account
        self.subject = subject
        self.kind = ""
        self.state: SubjectState | None = None
        self.version = 0
        self.events = 0
        self.at: datetime | None = None
        self.broken = False
        """Whether an event was impossible, so that the state is not known."""
        self.hidden: list[int] = []
        """Versions whose private part is missing, without an `erased` event after them."""
        self._leaf: bytes | None = None

    def add(self, stored: Stored) -> Iterator[Finding]:
        """Check one more event and apply it to the state."""
        self.kind = self.kind or stored.kind
        self.events += 1
        follows = stored.version == self.version + 1
        if not follows:
            yield self._finding("version-gap", version=stored.version, stored=stored.version, replayed=self.version + 1)
        leaf, self.version = self._leaf, stored.version
        self._leaf = codec.leaf_hash(stored.entry.encode())
        try:
            entry = codec.entry_of(stored.entry)
        except (msgspec.DecodeError, ValueError):
            self.broken = True
            yield self._finding("entry-unreadable", version=stored.version)
            return
        yield from self._form(stored, entry)
        if follows and entry.prev != (None if leaf is None else codec.base64_of(leaf)):
            yield self._finding("prev-broken", version=stored.version)
        yield from self._private(stored, entry)
        yield from self._apply(stored, entry)

    def _form(self, stored: Stored, entry: Entry) -> Iterator[Finding]:
        if codec.canonical(msgspec.json.decode(stored.entry)) != stored.entry.encode():
            yield self._finding("entry-not-canonical", version=stored.version)
        columns = (stored.account, stored.kind, stored.subject, stored.version, stored.type, stored.at)
        stated = (entry.account, entry.subject.kind, entry.subject.id, entry.version, entry.type, entry.at)
        if columns != stated:
            for name, column, value in zip(Stored._fields, columns, stated, strict=False):
                if column != value:
                    yield self._finding(
                        "column-differs", version=stored.version, field=name, stored=column, replayed=value
                    )
        if self.at is not None and entry.at < self.at:
            yield self._finding("time-runs-backwards", version=stored.version, stored=entry.at, replayed=self.at)
        self.at = entry.at

    def _private(self, stored: Stored, entry: Entry) -> Iterator[Finding]:
        if stored.private is None:
            if entry.private is not None:
                self.hidden.append(stored.version)
        elif entry.private is None:
            yield self._finding("private-part-uncommitted", version=stored.version)
        else:
            expected = codec.commitment(stored.salt or b"", stored.private.encode())
            if not hmac.compare_digest(codec.base64_of(expected), entry.private):
                yield self._finding("commitment-broken", version=stored.version)

    def _apply(self, stored: Stored, entry: Entry) -> Iterator[Finding]:
        if self.broken:
            return
        try:
            fact = codec.fact_of(entry, stored.private, EVENTS)
        except (msgspec.DecodeError, KeyError):
            self.broken = True
            yield self._finding("event-unknown", version=stored.version, stored=entry.type)
            return
        try:
            _refuse_impossible(fact, self.kind)
            self.state = evolve(self.state, fact)
        except (ValueError, ArithmeticError) as error:
            self.broken = True
            yield self._finding("event-impossible", version=stored.version, stored=error)
            return
        if isinstance(fact.event, Erased):
            self.hidden.clear()

    def against(self, rows: Sequence[StateRow]) -> Iterator[Finding]:
        """Compare the rows of this subject (there should be one) with the state that its events lead to."""
        if self.events and not rows:
            yield self._finding("events-without-row")
        yield from self.missing()
        for row in rows:
            yield from self._row(row)

    def missing(self) -> Iterator[Finding]:
        """Name the events whose private part is missing, although no later event erased it."""
        for version in self.hidden:
            yield self._finding("private-part-missing", version=version)

    def _row(self, row: StateRow) -> Iterator[Finding]:
        if not self.events:
            yield self._finding("row-without-events")
            return
        if row.leaf != self._leaf:
            yield self._finding(
                "column-differs", field="leaf", stored=row.leaf.hex(), replayed=(self._leaf or b"").hex()
            )
        if row.state is None:
            yield self._finding("row-unreadable")
        elif self.broken:
            return
        elif type(row.state) is not type(self.state):
            yield self._finding("row-of-another-kind")
        elif row.state != self.state:
            yield from self._fields(row.state)

    def _fields(self, stored: SubjectState) -> Iterator[Finding]:
        for name in stored.__struct_fields__:
            was, should = getattr(stored, name), getattr(self.state, name)
            if was != should and not (self.hidden and name in ERASABLE):
                yield self._finding("column-differs", field=name, stored=was, replayed=should)

    def secrets(self, kept: Sequence[tuple[int, int]]) -> Iterator[Finding]:
        """Compare the stored secrets of this token (generation and pepper) with those in its history."""
        if self.broken:
            return
        has_secrets = isinstance(self.state, Token) and self.state.trust is None
        known = set(range(1, self.state.generation + 1)) if isinstance(self.state, Token) and has_secrets else set()
        generations = {generation for generation, _ in kept}
        for generation in sorted(generations - known):
            yield self._finding("secret-of-nothing", field="generation", stored=generation)
        for generation in sorted(known - generations):
            yield self._finding("secret-missing", field="generation", replayed=generation)
        for generation in sorted({each[0] for each in kept if kept.count(each) > 1} & known):
            yield self._finding("secret-doubled", field="generation", stored=generation)

    def _finding(
        self,
        what: str,
        *,
        stored: object = None,
        replayed: object = None,
        **place: Any,  # noqa: ANN401 - the other fields of a Finding
    ) -> Finding:
        return Finding(
            account=self.account, subject=self.subject, kind=self.kind or "unknown", what=what,
            stored=as_shown(stored), replayed=as_shown(replayed), **place,
        )  # fmt: skip


def _refuse_impossible(fact: Fact, kind: str) -> None:
    """Raise ValueError for an event that the ledger never writes, whatever the state."""
    if fact.subject.kind != kind:
        raise ValueError(f"{fact.subject.kind} {fact.subject.id} was a {kind} before")
    if any(isinstance(value, datetime) and value.tzinfo is None for value in msgspec.structs.astuple(fact.event)):
        raise ValueError(f"{fact.type} holds a time without a zone")


def as_shown(value: object) -> object:
    """Return a value as a finding shows it: plain JSON, cut off if it is long."""
    plain: object = msgspec.to_builtins(value, str_keys=True, enc_hook=str)
    return plain[:_SHOWN] if isinstance(plain, str) else plain
