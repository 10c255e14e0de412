"""Every kind of subject that the log speaks of, and who decides about it: tokens, and the small ones beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from counterfoil.events import TOKEN_EVENTS, Event, Fact
from counterfoil.refusals import NotFound

from . import (
    account,
    catalogue,
    job,
    key,
    key_events,
    owner_quota,
    pepper,
    reads,
    user,
    user_commands,
    user_events,
)
from .small import Around, Small, SubjectCommand, unexpected


class Kind(NamedTuple):
    """A kind of small subject: its state, its events by their sealed words, its commands, and its two functions."""

    state: type[Small]
    events: dict[str, type[Event]]
    commands: tuple[type[SubjectCommand], ...]
    decide: Callable[[Any, SubjectCommand, Around], list[Event]]
    evolve: Callable[[Any, Fact], Small]


SMALL: Final = {
    "account": Kind(account.Account, account.EVENTS, account.COMMANDS, account.decide, account.evolve),
    "user": Kind(user.User, user_events.EVENTS, user_commands.COMMANDS, user.decide, user.evolve),
    "key": Kind(key.Ring, key_events.EVENTS, key_events.COMMANDS, key.decide, key.evolve),
    "scope": Kind(
        catalogue.Scope,
        catalogue.SCOPE_EVENTS,
        catalogue.SCOPE_COMMANDS,
        catalogue.decide_scope,
        catalogue.evolve_scope,
    ),
    "scope_set": Kind(
        catalogue.ScopeSet, catalogue.SET_EVENTS, catalogue.SET_COMMANDS, catalogue.decide_set, catalogue.evolve_set
    ),
    "job": Kind(job.Job, job.EVENTS, job.COMMANDS, job.decide, job.evolve),
    "pepper": Kind(pepper.PepperSet, pepper.EVENTS, pepper.COMMANDS, pepper.decide, pepper.evolve),
    "owner_quota": Kind(
        owner_quota.QuotaOfOwner, owner_quota.EVENTS, owner_quota.COMMANDS, owner_quota.decide, owner_quota.evolve
    ),
    "log": Kind(reads.Log, reads.EVENTS, reads.COMMANDS, reads.decide, reads.evolve),
}
"""The kinds beside tokens; a new one is a module and a line here."""

KINDS: Final[dict[str, dict[str, type[Event]]]] = {
    "token": TOKEN_EVENTS,
    **{name: kind.events for name, kind in SMALL.items()},
}
"""Every event by the kind of its subject and its sealed word."""

TYPE_OF: Final = {event: word for words in KINDS.values() for word, event in words.items()}
"""The sealed word of each event class."""

KIND_OF: Final = {command: name for name, kind in SMALL.items() for command in kind.commands}
"""The kind of subject that each command is about."""


def decide(state: Small | None, command: SubjectCommand, around: Around) -> list[Event]:
    """Return what happens if this is asked, or raise a Refusal."""
    kind = SMALL[KIND_OF[type(command)]]
    if state is not None and not isinstance(state, kind.state):
        raise NotFound
    return kind.decide(state, command, around)


def evolve(state: Small | None, fact: Fact) -> Small:
    """Return the state after one more thing happened. Raises ValueError if it cannot happen there."""
    kind = SMALL[fact.subject.kind]
    if state is not None and not isinstance(state, kind.state):
        raise unexpected(fact)
    return kind.evolve(state, fact)
