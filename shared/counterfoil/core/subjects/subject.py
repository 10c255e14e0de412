"""What accounts, users, signing keys and all other small subjects beside tokens have in common.

Each kind is one module with its events, commands, state, `decide` and `evolve`; the package lists them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import msgspec
from msgspec.structs import replace

from counterfoil.core.events import Fact
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import Refusal, StaleRevision


class SubjectCommand(msgspec.Struct, frozen=True, kw_only=True):
    """Something asked of a small subject of one account by one caller; it may insist on revisions (If-Match)."""

    refusals: ClassVar[tuple[type[Refusal], ...]] = ()
    """What a caller may be refused when it is decided."""

    account: UUID
    id: UUID
    by: Principal
    revisions: frozenset[int] | None = None


class SubjectState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a small subject; what a kind adds to these fields is kept as its details."""

    account: UUID
    id: UUID
    number: int | None = None
    name: str | None
    status: str = "active"
    created_at: datetime
    updated_at: datetime
    revision: int
    version: int
    at: datetime


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision about a small subject may need to know besides its state.

    `administrators` are the active ones of the account, known where a command could end the last of them; `emails` says
    whose the addresses are that are asked for.
    """

    at: datetime
    administrators: frozenset[UUID] = frozenset()
    emails: dict[str, frozenset[UUID]] = {}


S = TypeVar("S", bound=SubjectState)


def born(kind: type[S], fact: Fact, **fields: Any) -> S:  # noqa: ANN401 - the fields of whichever kind
    """Return the state that a creation makes."""
    said = fact.event.private
    return kind(
        account=fact.account, id=fact.subject.id, name=(said and said.name) or None, created_at=fact.at,
        updated_at=fact.at, revision=1, version=fact.version, at=fact.at, **fields,
    )  # fmt: skip


def grown(state: S, fact: Fact, **changes: Any) -> S:  # noqa: ANN401 - the fields of whichever kind
    """Return the state after one more event with these changes."""
    return replace(state, updated_at=fact.at, revision=state.revision + 1, version=fact.version, at=fact.at, **changes)


def refuse_stale(state: SubjectState, command: SubjectCommand) -> None:
    """Raise StaleRevision unless the command was based on this revision, or insists on none."""
    if command.revisions is not None and state.revision not in command.revisions:
        raise StaleRevision(revision=state.revision)


def unexpected(fact: Fact) -> ValueError:
    """What to raise about an event that cannot follow on what was."""
    return ValueError(f"{fact.subject.kind} {fact.subject.id}: {fact.type} cannot come here")


def no_command(command: SubjectCommand) -> TypeError:
    """What to raise about a command that a kind does not know."""
    return TypeError(f"no such command: {type(command).__name__}")
