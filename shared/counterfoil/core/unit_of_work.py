"""Many commands against the locked rows: decide each, evolve, and collect the changes to write.

Pure: the caller draws the salts of private parts. Commands to one subject are carried out one after the other; a
refused command changes nothing. This module has only the order of the steps; the command's kind decides (`core.kinds`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from counterfoil.core import codec
from counterfoil.core.codec import Sealed
from counterfoil.core.events import Event, Fact, Subject
from counterfoil.core.kinds import KIND_OF, KIND_OF_STATE, TYPE_OF
from counterfoil.core.locked import Locked, Row
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import Overloaded, Refusal
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import Command, DecisionContext, Key, S, SubjectState, Unresolved


class AllOrNothing(msgspec.Struct, frozen=True):
    """Commands that are carried out all or not at all: one refusal refuses them all.

    The outcome has the first command's subject, in its state after all commands.
    """

    commands: tuple[Command, ...]

    @property
    def by(self) -> Principal:
        return self.commands[0].by

    @property
    def lane(self) -> object:
        return self.commands[0].lane


Request = Command | Unresolved | AllOrNothing
"""What the door carries out."""
RETRY: Final = "retry"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a command: the state after it, the facts that it added (none: nothing to do), and the time.

    `context` is the context of the decision.
    `reply` is the answer kept under an Idempotency-Key, if one was given; `replayed` says it is from an earlier time.
    """

    state: SubjectState | None
    facts: tuple[Fact, ...]
    at: datetime
    context: DecisionContext | None = None
    reply: bytes | None = None
    replayed: bool = False

    def of(self, kind: type[S]) -> S:
        """Return the state as one of this kind."""
        if not isinstance(self.state, kind):
            raise TypeError(f"this outcome is not about a {kind.__name__}")
        return self.state

    @property
    def subject(self) -> UUID:
        """The id of what the command was about."""
        if self.state is None:
            raise TypeError("this outcome is about nothing")
        return self.state.id


Answer = Outcome | Refusal | Literal["retry"]


@dataclass(frozen=True, slots=True)
class Done:
    """A command that was carried out, with the state of its subject before and after it."""

    command: Command
    before: SubjectState | None
    after: SubjectState


@dataclass(slots=True)
class Changes:
    """The changes to write: facts with their bytes, and the commands done by subject, both in order."""

    facts: list[tuple[Fact, Sealed]] = field(default_factory=list)
    done: dict[Key, list[Done]] = field(default_factory=dict)

    def copy(self) -> Changes:
        return Changes(list(self.facts), {key: list(done) for key, done in self.done.items()})


class UnitOfWork:
    """The locked rows of one batch, and the changes to them so far."""

    __slots__ = ("_salt", "changes", "locked")

    def __init__(self, locked: Locked, *, salt: Callable[[int], bytes]) -> None:
        self._salt = salt
        self.locked = locked
        self.changes = Changes()

    def answer(self, command: Request) -> Answer:
        """Carry out one more command; `retry` if another transaction has locked a row that it needs."""
        if isinstance(command, AllOrNothing):
            return self._all_or_nothing(command)
        kind = KIND_OF[type(command)]
        try:
            resolved = kind.resolve(command, self.locked)
            if resolved is None or not self.locked.held.isdisjoint((resolved.key, *resolved.guards)):
                return RETRY
            return self._carry_out(kind, resolved)
        except Refusal as refusal:
            return refusal

    def _carry_out(self, kind: Kind, command: Command) -> Outcome:
        row = self.locked.rows[command.key]
        # Time never runs backwards within a subject, even where the database's clock did.
        at = self.locked.clock if row.state is None else max(self.locked.clock, row.state.at)
        self._refuse_old_pepper(command)
        self._refuse_reduced(command)
        context = kind.context(command, at, self.locked)
        events = kind.decide(row.state, command, context, self.locked)
        after, facts = self._evolved(row, command, events, at)
        if facts and after.state is not None:
            kind.admit(command, row.state, after.state, self.locked)
            self.locked.rows[command.key] = after
            self.changes.facts += facts
            self.changes.done.setdefault(command.key, []).append(Done(command, row.state, after.state))
        return Outcome(after.state, tuple(fact for fact, _ in facts), at, context)

    def replay(self, command: Command, outcome: Outcome) -> Answer:
        """Return the earlier outcome of a command with its secret, if the caller may see that secret now."""
        if command.key in self.locked.held:
            return RETRY
        kind, state = KIND_OF[type(command)], self.locked.rows[command.key].state
        try:
            self._refuse_reduced(command)
            kind.refuse_replay(command, state, kind.context(command, self.locked.clock, self.locked))
        except Refusal as refusal:
            return refusal
        return outcome

    def _all_or_nothing(self, together: AllOrNothing) -> Answer:
        locked, changes = self.locked, self.changes
        self.locked, self.changes = locked.copy(), changes.copy()
        outcomes: list[Outcome] = []
        for command in together.commands:
            answer = self.answer(command)
            if not isinstance(answer, Outcome):
                self.locked, self.changes = locked, changes
                return answer
            outcomes.append(answer)
        about = zip((command.key for command in together.commands), outcomes, strict=True)
        last = [outcome for key, outcome in about if key == together.commands[0].key][-1]
        return replace(last, facts=tuple(fact for each in outcomes for fact in each.facts))

    def _refuse_old_pepper(self, command: Command) -> None:
        """Refuse a secret digested under an ended pepper: it would open nothing, now or soon."""
        if command.pepper in self.locked.ended_peppers:
            raise Overloaded("This process did not know yet that another pepper signs; nothing was changed, try again.")

    def _refuse_reduced(self, command: Command) -> None:
        """Refuse a caller who may do less than when it was authenticated; changes in this batch count, too."""
        for principal in command.principals:
            key = (principal.account, principal.actor.id)
            caller = self.locked.callers.get(key)
            if (row := self.locked.rows.get(key)) is not None and row.state is not None:
                caller = KIND_OF_STATE[type(row.state)].caller(row.state) or caller
            if caller is not None:
                caller.refuse_reduced(principal, self.locked.clock)

    def _evolved(
        self, row: Row, command: Command, events: list[Event], at: datetime
    ) -> tuple[Row, list[tuple[Fact, Sealed]]]:
        kind = KIND_OF[type(command)]
        subject, state, leaf, facts = Subject(kind.name, command.id), row.state, row.leaf, []
        for event in events:
            fact = Fact(
                account=command.account, subject=subject, version=state.version + 1 if state else 1,
                type=TYPE_OF[type(event)], at=at, by=command.by.actor, event=event,
            )  # fmt: skip
            sealed = codec.seal(fact, prev=leaf, salt=self._salt(codec.SALT_LENGTH))
            state, leaf = kind.evolve(state, fact), sealed.leaf
            facts.append((fact, sealed))
        return Row(state, leaf), facts
