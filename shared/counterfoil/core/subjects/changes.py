"""The fields that an event changed, before and after, for every kind of subject except tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from uuid import UUID

import msgspec

from counterfoil.core.events import Fact
from counterfoil.core.kinds import evolve
from counterfoil.core.subjects.subject import SubjectState

_COUNTED: Final = frozenset({"account", "id", "number", "created_at", "updated_at", "revision", "version", "at"})
"""Fields that every event changes, or none."""

Changes = dict[str, tuple[object, object]]


def changes_of(history: Iterable[Fact]) -> Iterator[tuple[UUID, int, Changes]]:
    """Yield the changes of each event by subject and version, from whole histories in order; a creation has none.

    A field of a field, such as one of an account's policy, is named with a dot: `policy.networks`.
    """
    state: SubjectState | None = None
    for fact in history:
        before = state if state is not None and state.id == fact.subject.id else None
        state = evolve(before, fact)
        yield fact.subject.id, fact.version, {} if before is None else _between(before, state)


def _between(before: SubjectState, after: SubjectState) -> Changes:
    was, now = dict(_fields(before)), dict(_fields(after))
    return {name: (was.get(name), value) for name, value in now.items() if value != was.get(name)}


def _fields(state: SubjectState) -> Iterator[tuple[str, object]]:
    for name, value in msgspec.to_builtins(state).items():
        if isinstance(value, dict):
            yield from ((f"{name}.{each}", inner) for each, inner in value.items())
        elif name not in _COUNTED:
            yield name, value
