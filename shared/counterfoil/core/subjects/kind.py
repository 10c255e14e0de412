"""A kind of subject: its words in the log, and the rules by which its subjects change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from counterfoil.core.events import Event, Fact
from counterfoil.core.locked import CallerState, Locked
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import NotFound, SecretNoLongerAvailable
from counterfoil.core.subjects.subject import Command, DecisionContext, SubjectState, Unresolved, unexpected


@dataclass(frozen=True)
class Kind:
    """One kind of subject: a name, its state, its events by their sealed words, its commands, and two pure functions.

    A kind whose decisions depend on more than the state and the time overrides the methods below; they are called in
    this order, once for each command.
    """

    name: str
    state: type[SubjectState]
    events: Mapping[str, type[Event]]
    commands: Sequence[type]
    decider: Callable[[Any, Any, Any], list[Event]]
    evolver: Callable[[Any, Fact], SubjectState]

    def resolve(self, command: Command | Unresolved, _locked: Locked) -> Command | None:
        """Return the command with its subject, None if another transaction holds it; or raise a Refusal."""
        return cast("Command", command)

    def context(self, _command: Command, at: datetime, _locked: Locked) -> DecisionContext:
        """Return the input of the decision besides the state."""
        return DecisionContext(at=at)

    def decide(
        self,
        state: SubjectState | None,
        command: Command,
        context: Any,  # noqa: ANN401 - of the type that `context` of the kind returns
        _locked: Locked,
    ) -> list[Event]:
        """Return the events that the command leads to, or raise a Refusal."""
        return self.decider(self.own(state), command, context)

    def own(self, state: SubjectState | None) -> SubjectState | None:
        """Return the state, or raise NotFound if it is of another kind."""
        if state is not None and not isinstance(state, self.state):
            raise NotFound
        return state

    def evolve(self, state: SubjectState | None, fact: Fact) -> SubjectState:
        """Return the state after one more event. Raises ValueError if that cannot happen there."""
        if state is not None and not isinstance(state, self.state):
            raise unexpected(fact)
        return self.evolver(state, fact)

    def admit(self, command: Command, before: SubjectState | None, after: SubjectState, locked: Locked) -> None:
        """Update the reads for the commands after this one; raise a Refusal if a count forbids the change."""

    def caller(self, _state: SubjectState) -> CallerState | None:
        """Return the subject as a caller, in the state that this batch gave it; None if its kind cannot call."""
        return None

    def principals(self, _command: Command, _state: SubjectState | None) -> Iterable[Principal]:
        """Return further principals on whose present state the decision depends; the row is locked already."""
        return ()

    def refuse_replay(
        self,
        command: Command,  # noqa: ARG002 - a kind that shows secrets needs it
        state: SubjectState | None,  # noqa: ARG002 - likewise
        context: Any,  # noqa: ANN401, ARG002 - see `decide`
    ) -> None:
        """Raise a Refusal unless the caller may see, at this moment, the secret that the command made.

        The Idempotency-Key and the request are the same as then. The caller may have changed: a bearer expires before
        its token. The issued token may have been revoked or widened since.
        """
        raise SecretNoLongerAvailable
