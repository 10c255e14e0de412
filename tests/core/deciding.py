"""`decide` of any kind, with a context that the test states."""

from typing import Any

from counterfoil.core.events import Event
from counterfoil.core.kinds import KIND_OF
from counterfoil.core.subjects.subject import Command, SubjectState


def decide(state: SubjectState | None, command: Command, context: Any) -> list[Event]:
    kind = KIND_OF[type(command)]
    return kind.decider(kind.own(state), command, context)
