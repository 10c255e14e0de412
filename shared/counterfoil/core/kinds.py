"""Every kind of subject; a new one is a module in `core/subjects` and a line here."""

from __future__ import annotations

from typing import Final

from counterfoil.core.events import Event, Fact
from counterfoil.core.subjects import (
    access,
    account,
    bulk_revocation,
    owner_quota,
    peppers,
    scope_catalogue,
    signing_keys,
)
from counterfoil.core.subjects import signing_key_events as key_words
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import SubjectState
from counterfoil.core.subjects.token.kind import TOKEN
from counterfoil.core.subjects.user_kind import USER

KINDS: Final[dict[str, Kind]] = {}
"""Each kind by its name."""
EVENTS: Final[dict[str, dict[str, type[Event]]]] = {}
"""Every event by the kind of its subject and its sealed word."""
TYPE_OF: Final[dict[type[Event], str]] = {}
"""The sealed word of each event class."""
KIND_OF: Final[dict[type, Kind]] = {}
"""The kind of subject that each command is about."""
KIND_OF_STATE: Final[dict[type[SubjectState], Kind]] = {}
"""The kind of subject that each state is of."""


def register(kind: Kind) -> None:
    """Make a kind known to the door, the log and the audit."""
    KINDS[kind.name] = kind
    EVENTS[kind.name] = dict(kind.events)
    TYPE_OF.update({event: word for word, event in kind.events.items()})
    KIND_OF_STATE[kind.state] = kind
    KIND_OF.update(dict.fromkeys(kind.commands, kind))


def evolve(state: SubjectState | None, fact: Fact) -> SubjectState:
    """Return the state of whatever subject a fact is about, after it. Raises ValueError if that cannot happen."""
    return KINDS[fact.subject.kind].evolve(state, fact)


for _kind in (
    TOKEN,
    USER,
    Kind("account", account.Account, account.EVENTS, account.COMMANDS, account.decide, account.evolve),
    Kind(
        "signing_keys", signing_keys.Ring, key_words.EVENTS, key_words.COMMANDS,
        signing_keys.decide, signing_keys.evolve,
    ),
    Kind(
        "scope", scope_catalogue.Scope, scope_catalogue.SCOPE_EVENTS, scope_catalogue.SCOPE_COMMANDS,
        scope_catalogue.decide_scope, scope_catalogue.evolve_scope,
    ),
    Kind(
        "scope_set", scope_catalogue.ScopeSet, scope_catalogue.SET_EVENTS, scope_catalogue.SET_COMMANDS,
        scope_catalogue.decide_set, scope_catalogue.evolve_set,
    ),
    Kind(
        "bulk_revocation", bulk_revocation.BulkRevocation, bulk_revocation.EVENTS, bulk_revocation.COMMANDS,
        bulk_revocation.decide, bulk_revocation.evolve,
    ),
    Kind("peppers", peppers.PepperSet, peppers.EVENTS, peppers.COMMANDS, peppers.decide, peppers.evolve),
    Kind(
        "owner_quota", owner_quota.QuotaOfOwner, owner_quota.EVENTS, owner_quota.COMMANDS,
        owner_quota.decide, owner_quota.evolve,
    ),
    Kind("access", access.Access, access.EVENTS, access.COMMANDS, access.decide, access.evolve),
):  # fmt: skip
    register(_kind)
