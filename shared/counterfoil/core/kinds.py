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
)  # fmt: skip
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import SubjectState
from counterfoil.core.subjects.subscription_kind import SUBSCRIPTION
from counterfoil.core.subjects.token.kind import TOKEN
from counterfoil.core.subjects.user_kind import USER

KINDS: Final[dict[str, Kind]] = {}
"""Each kind by its name."""
EVENTS: Final[dict[str, dict[str, type[Event]]]] = {}
"""Every event class, by the kind of its subject and its event type in the log."""
TYPE_OF: Final[dict[type[Event], str]] = {}
"""The event type in the log of each event class."""
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
    """Return the state of the fact's subject after it. Raises ValueError if the fact is impossible in this state."""
    return KINDS[fact.subject.kind].evolve(state, fact)


for _kind in (
    TOKEN, USER, account.KIND, signing_keys.KIND, scope_catalogue.SCOPE, scope_catalogue.SCOPE_SET,
    bulk_revocation.KIND, peppers.KIND, owner_quota.KIND, access.KIND, SUBSCRIPTION,
):  # fmt: skip
    register(_kind)
