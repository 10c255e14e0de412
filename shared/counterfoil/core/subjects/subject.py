"""What all subjects have in common: commands, states, and how an event leads to the next state.

Each kind is one module with its events, commands, state, `decide` and `evolve`; `core.kinds` lists them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID

import msgspec
from msgspec.structs import replace

from counterfoil.core.events import Fact
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import Refusal, StaleRevision

Key = tuple[UUID, UUID]
"""Account and subject."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A change that one caller requests of one subject of one account.

    A kind's commands say by these properties what must be locked and read before they are decided.
    """

    refusals: ClassVar[tuple[type[Refusal], ...]] = ()
    """The refusals that its decision may raise."""

    account: UUID
    id: UUID
    """The id of the subject."""
    by: Principal
    revisions: frozenset[int] | None = None
    """One of these the subject must have (If-Match); None: it may have any."""

    @property
    def key(self) -> Key:
        return self.account, self.id

    def refuse_stale(self, state: SubjectState) -> None:
        """Raise StaleRevision if the command requires another revision."""
        if self.revisions is not None and state.revision not in self.revisions:
            raise StaleRevision(revision=state.revision)

    @property
    def guards(self) -> tuple[Key, ...]:
        """Further rows that the decision locks."""
        return ()

    @property
    def lane(self) -> object:
        """Two commands with the same lane need the same row."""
        return (self.guards or (self.key,))[0][1]

    @property
    def digests(self) -> tuple[bytes, ...]:
        """Digests of secrets; the decision depends on the tokens that they open."""
        return ()

    @property
    def principals(self) -> tuple[Principal, ...]:
        """The callers whose state is read again: they may not do less than when they were authenticated."""
        return () if self.by.actor.kind == "system" else (self.by,)

    @property
    def users(self) -> tuple[Key, ...]:
        """Users whose present state the decision depends on."""
        return ()

    @property
    def reads_account(self) -> bool:
        """Whether the policy, the epoch and the peppers are read: for callers, and for new secrets."""
        return bool(self.principals) or self.pepper is not None

    @property
    def has_unique_value(self) -> bool:
        """Whether it has a value, besides the subject's id, that must be unique."""
        return False

    @property
    def pepper(self) -> int | None:
        """The number of the pepper that digested its new secret; None without one."""
        return None


class Unresolved(msgspec.Struct, frozen=True, kw_only=True):
    """A command whose subject is found by one of these digests when the row is locked."""

    digests: tuple[bytes, ...]

    @property
    def lane(self) -> object:
        """Two commands that present the same secret need the same row."""
        return self.digests[0]

    @property
    def principals(self) -> tuple[Principal, ...]:
        return ()


class SubjectState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a subject; the fields that a kind adds are stored as its details."""

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

    @classmethod
    def created(cls, fact: Fact, **fields: Any) -> Self:  # noqa: ANN401 - the fields of whichever kind
        """Return the state after the subject's first event."""
        return cls(
            account=fact.account, id=fact.subject.id, name=fact.event.private.name or None, created_at=fact.at,
            updated_at=fact.at, revision=1, version=fact.version, at=fact.at, **fields,
        )  # fmt: skip

    def after(self, fact: Fact, **changes: Any) -> Self:  # noqa: ANN401 - the fields of whichever kind
        """Return the state after one more event, with these changes."""
        return replace(
            self, updated_at=fact.at, revision=self.revision + 1, version=fact.version, at=fact.at, **changes
        )


class DecisionContext(msgspec.Struct, frozen=True, kw_only=True):
    """The input of a decision besides the state: the time, and what the kind adds."""

    at: datetime


S = TypeVar("S", bound=SubjectState)


def uuid8(digest: bytes) -> UUID:
    """Return a UUID of version 8 (RFC 9562) made of the first 16 bytes of a digest."""
    number = int.from_bytes(digest[:16], "big") & ~(0xF << 76) & ~(0x3 << 62)
    return UUID(int=number | 0x8 << 76 | 0x2 << 62)


def unexpected(fact: Fact) -> ValueError:
    """Return the error for an event that is impossible in the present state."""
    return ValueError(f"{fact.subject.kind} {fact.subject.id}: {fact.type} cannot come here")


def no_command(command: Command) -> TypeError:
    """Return the error for a command that is not of this kind."""
    return TypeError(f"no such command: {type(command).__name__}")
