"""A job: something that is done to many tokens at once, accepted as a whole and carried out part by part.

Which tokens those are is frozen when the job is accepted, and kept beside the log; of each of them its own events tell
what became of it. A job with children goes on to whatever those tokens made, and what that made, until nothing is left.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from counterfoil.core import text
from counterfoil.core.events import Event, Fact, Private
from counterfoil.core.principal import Actor, Owner
from counterfoil.core.refusals import AlreadyExists, NotFound
from counterfoil.core.subjects.subject import (
    Around,
    SubjectCommand,
    SubjectState,
    born,
    grown,
    no_command,
    refuse_stale,
    unexpected,
)

OPEN: Final = frozenset({"accepted", "running"})


class Children(msgspec.Struct, frozen=True, kw_only=True):
    """What a job revokes besides its plan: what those tokens made, and what that made, whenever it was made.

    With `made_by`, also what this user or token made. With `owner`, this owner's tokens alone: others are left alone.
    """

    made_by: UUID | None = None
    owner: Owner | None = None


class BulkRevocationAccepted(Event, frozen=True, kw_only=True):
    """All tokens of a plan, so many of them, are to be revoked; the reason and the filter are private."""

    plan: str
    total: int
    children: Children | UnsetType = UNSET


class BulkRevocationStarted(Event, frozen=True, kw_only=True):
    """The first of them is being revoked."""


class BulkRevocationFinished(Event, frozen=True, kw_only=True):
    """All were tried: so many were revoked by this job, and so many could not be; the rest had been revoked before."""

    revoked: int
    failed: int


class BulkRevocationCancelled(Event, frozen=True, kw_only=True):
    """No further token is revoked; those that were stay so."""


EVENTS: Final[dict[str, type[Event]]] = {
    "accepted": BulkRevocationAccepted,
    "started": BulkRevocationStarted,
    "finished": BulkRevocationFinished,
    "cancelled": BulkRevocationCancelled,
}


class AcceptBulkRevocation(SubjectCommand, frozen=True, kw_only=True):
    """Have all tokens of a plan revoked; `description` is the filter that they were found by."""

    refusals = (AlreadyExists,)

    plan: str
    total: int
    reason: str
    description: str = ""
    children: Children | None = None


class StartBulkRevocation(SubjectCommand, frozen=True, kw_only=True):
    """Say that it begins."""


class FinishBulkRevocation(SubjectCommand, frozen=True, kw_only=True):
    """Say that there is nothing left to do."""

    revoked: int
    failed: int


class CancelBulkRevocation(SubjectCommand, frozen=True, kw_only=True):
    """Leave the rest of them as they are."""


COMMANDS: Final = (AcceptBulkRevocation, StartBulkRevocation, FinishBulkRevocation, CancelBulkRevocation)


class BulkRevocation(SubjectState, frozen=True, kw_only=True):
    """The present state of a job; its progress stands beside the log until it is over."""

    plan: str
    total: int
    creator: Actor
    reason: str | None
    description: str
    children: Children | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    revoked: int | None = None
    failed: int | None = None


def decide(job: BulkRevocation | None, command: SubjectCommand, _: Around) -> list[Event]:
    """Return what happens if this is asked of this job, or raise a Refusal."""
    if isinstance(command, AcceptBulkRevocation):
        return _accept(job, command)
    if job is None:
        raise NotFound
    refuse_stale(job, command)
    match command:
        case StartBulkRevocation():
            return [BulkRevocationStarted()] if job.status == "accepted" else []
        case FinishBulkRevocation(revoked=revoked, failed=failed):
            return [BulkRevocationFinished(revoked=revoked, failed=failed)] if job.status in OPEN else []
        case CancelBulkRevocation():
            return [BulkRevocationCancelled()] if job.status in OPEN else []
    raise no_command(command)


def _accept(job: BulkRevocation | None, command: AcceptBulkRevocation) -> list[Event]:
    if job is not None and (job.plan, job.reason) != (command.plan, command.reason):
        raise AlreadyExists
    if job is not None:
        return []
    said = Private(reason=text.checked_reason(command.reason), description=command.description)
    children = UNSET if command.children is None else command.children
    return [BulkRevocationAccepted(plan=command.plan, total=command.total, children=children, private=said)]


def evolve(job: BulkRevocation | None, fact: Fact) -> BulkRevocation:
    """Return the state after one more thing happened."""
    match fact.event:
        case BulkRevocationAccepted(plan=plan, total=total, children=children, private=said) if job is None:
            reason, filtered = (said and said.reason) or None, (said and said.description) or ""
            return born(
                BulkRevocation, fact, status="accepted", plan=plan, total=total, creator=fact.by, reason=reason,
                description=filtered, children=None if children is UNSET else children,
            )  # fmt: skip
        case BulkRevocationStarted() if job is not None:
            return grown(job, fact, status="running", started_at=fact.at)
        case BulkRevocationFinished(revoked=revoked, failed=failed) if job is not None:
            return grown(job, fact, status="finished", ended_at=fact.at, revoked=revoked, failed=failed)
        case BulkRevocationCancelled() if job is not None:
            return grown(job, fact, status="cancelled", ended_at=fact.at)
    raise unexpected(fact)
