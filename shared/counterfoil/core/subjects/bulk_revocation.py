"""A bulk revocation: many tokens are revoked at once; it is accepted as a whole and carried out part by part.

Its tokens are fixed when it is accepted, and stored beside the log. The events of each token say what happened to it.
A bulk revocation with children also revokes the tokens that those created, at any depth, until none is left.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from counterfoil.core import text
from counterfoil.core.events import Conditions, Event, Fact, Private
from counterfoil.core.principal import Actor, Owner
from counterfoil.core.refusals import AlreadyExists, NotFound
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import Command, DecisionContext, SubjectState, no_command, unexpected

OPEN: Final = frozenset({"accepted", "running"})


class Children(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens that a revocation revokes besides its plan: those that its tokens created, at any depth.

    With `made_by`, also the tokens that this user or token created. With `owner`, only tokens of this owner.
    """

    made_by: UUID | None = None
    owner: Owner | None = None


class BulkRevocationAccepted(Event, frozen=True, kw_only=True):
    """All tokens of a plan, so many of them, are to be revoked; the reason and the filter are private."""

    plan: str
    total: int
    children: Children | UnsetType = UNSET


class BulkRevocationStarted(Event, frozen=True, kw_only=True):
    """The revocation of the first token begins."""


class BulkRevocationFinished(Event, frozen=True, kw_only=True):
    """All were tried: it revoked so many, and failed for so many; the others had been revoked before."""

    revoked: int
    failed: int


class BulkRevocationCancelled(Event, frozen=True, kw_only=True):
    """No further token is revoked; revoked ones stay revoked."""


EVENTS: Final[dict[str, type[Event]]] = {
    "accepted": BulkRevocationAccepted,
    "started": BulkRevocationStarted,
    "finished": BulkRevocationFinished,
    "cancelled": BulkRevocationCancelled,
}


class AcceptBulkRevocation(Command, frozen=True, kw_only=True):
    """Accept the revocation of all tokens of a plan; `filter` selected them."""

    refusals = (AlreadyExists,)

    plan: str
    total: int
    reason: str
    filter: Conditions = msgspec.field(default_factory=dict)
    children: Children | None = None


class StartBulkRevocation(Command, frozen=True, kw_only=True):
    """Record that the revocation begins."""


class FinishBulkRevocation(Command, frozen=True, kw_only=True):
    """Record that no token is left to revoke."""

    revoked: int
    failed: int


class CancelBulkRevocation(Command, frozen=True, kw_only=True):
    """Cancel the revocation; the remaining tokens stay as they are."""


COMMANDS: Final = (AcceptBulkRevocation, StartBulkRevocation, FinishBulkRevocation, CancelBulkRevocation)


class BulkRevocation(SubjectState, frozen=True, kw_only=True):
    """The present state of a bulk revocation; a separate table holds its progress until it is finished."""

    plan: str
    total: int
    creator: Actor
    reason: str | None
    filter: Conditions | None
    children: Children | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    revoked: int | None = None
    failed: int | None = None


def decide(revocation: BulkRevocation | None, command: Command, _: DecisionContext) -> list[Event]:
    if isinstance(command, AcceptBulkRevocation):
        return _accept(revocation, command)
    if revocation is None:
        raise NotFound
    command.refuse_stale(revocation)
    match command:
        case StartBulkRevocation():
            return [BulkRevocationStarted()] if revocation.status == "accepted" else []
        case FinishBulkRevocation(revoked=revoked, failed=failed):
            return [BulkRevocationFinished(revoked=revoked, failed=failed)] if revocation.status in OPEN else []
        case CancelBulkRevocation():
            return [BulkRevocationCancelled()] if revocation.status in OPEN else []
    raise no_command(command)


def _accept(revocation: BulkRevocation | None, command: AcceptBulkRevocation) -> list[Event]:
    if revocation is not None and (revocation.plan, revocation.reason) != (command.plan, command.reason):
        raise AlreadyExists
    if revocation is not None:
        return []
    private = Private(reason=text.checked_reason(command.reason), filter=command.filter)
    children = UNSET if command.children is None else command.children
    return [BulkRevocationAccepted(plan=command.plan, total=command.total, children=children, private=private)]


def evolve(revocation: BulkRevocation | None, fact: Fact) -> BulkRevocation:
    match fact.event:
        case BulkRevocationAccepted(plan=plan, total=total, children=children, private=private) if revocation is None:
            return BulkRevocation.created(
                fact, status="accepted", plan=plan, total=total, creator=fact.by,
                reason=private.reason or None, filter=None if private.filter is UNSET else private.filter,
                children=None if children is UNSET else children,
            )  # fmt: skip
        case BulkRevocationStarted() if revocation is not None:
            return revocation.after(fact, status="running", started_at=fact.at)
        case BulkRevocationFinished(revoked=revoked, failed=failed) if revocation is not None:
            return revocation.after(fact, status="finished", ended_at=fact.at, revoked=revoked, failed=failed)
        case BulkRevocationCancelled() if revocation is not None:
            return revocation.after(fact, status="cancelled", ended_at=fact.at)
    raise unexpected(fact)


KIND: Final = Kind("bulk_revocation", BulkRevocation, EVENTS, COMMANDS, decide, evolve)
