"""Every kind of subject that the log speaks of, and who decides about it: tokens, and the small ones beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from counterfoil.core.events import TOKEN_EVENTS, Event, Fact
from counterfoil.core.refusals import NotFound
from counterfoil.core.subjects import (
    access,
    account,
    bulk_revocation,
    owner_quota,
    peppers,
    scope_catalogue,
    signing_key_events,
    signing_keys,
    user,
    user_commands,
    user_events,
)
from counterfoil.core.subjects.subject import Around, SubjectCommand, SubjectState, unexpected


class Kind(NamedTuple):
    """A kind of small subject: its state, its events by their sealed words, its commands, and its two functions."""

    state: type[SubjectState]
    events: dict[str, type[Event]]
    commands: tuple[type[SubjectCommand], ...]
    decide: Callable[[Any, SubjectCommand, Around], list[Event]]
    evolve: Callable[[Any, Fact], SubjectState]


SMALL: Final = {
    "account": Kind(account.Account, account.EVENTS, account.COMMANDS, account.decide, account.evolve),
    "user": Kind(user.User, user_events.EVENTS, user_commands.COMMANDS, user.decide, user.evolve),
    "signing_keys": Kind(
        signing_keys.Ring,
        signing_key_events.EVENTS,
        signing_key_events.COMMANDS,
        signing_keys.decide,
        signing_keys.evolve,
    ),
    "scope": Kind(
        scope_catalogue.Scope,
        scope_catalogue.SCOPE_EVENTS,
        scope_catalogue.SCOPE_COMMANDS,
        scope_catalogue.decide_scope,
        scope_catalogue.evolve_scope,
    ),
    "scope_set": Kind(
        scope_catalogue.ScopeSet,
        scope_catalogue.SET_EVENTS,
        scope_catalogue.SET_COMMANDS,
        scope_catalogue.decide_set,
        scope_catalogue.evolve_set,
    ),
    "bulk_revocation": Kind(
        bulk_revocation.BulkRevocation,
        bulk_revocation.EVENTS,
        bulk_revocation.COMMANDS,
        bulk_revocation.decide,
        bulk_revocation.evolve,
    ),
    "peppers": Kind(peppers.PepperSet, peppers.EVENTS, peppers.COMMANDS, peppers.decide, peppers.evolve),
    "owner_quota": Kind(
        owner_quota.QuotaOfOwner, owner_quota.EVENTS, owner_quota.COMMANDS, owner_quota.decide, owner_quota.evolve
    ),
    "access": Kind(access.Access, access.EVENTS, access.COMMANDS, access.decide, access.evolve),
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


def decide(state: SubjectState | None, command: SubjectCommand, context: Around) -> list[Event]:
    """Return what happens if this is asked, or raise a Refusal."""
    kind = SMALL[KIND_OF[type(command)]]
    if state is not None and not isinstance(state, kind.state):
        raise NotFound
    return kind.decide(state, command, context)


def evolve(state: SubjectState | None, fact: Fact) -> SubjectState:
    """Return the state after one more thing happened. Raises ValueError if it cannot happen there."""
    kind = SMALL[fact.subject.kind]
    if state is not None and not isinstance(state, kind.state):
        raise unexpected(fact)
    return kind.evolve(state, fact)
