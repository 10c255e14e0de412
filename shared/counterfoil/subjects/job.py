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

from counterfoil import text
from counterfoil.events import Event, Fact, Private
from counterfoil.principal import Actor, Owner
from counterfoil.refusals import AlreadyExists, NotFound

from .small import Around, Small, SubjectCommand, born, grown, no_command, refuse_stale, unexpected

OPEN: Final = frozenset({"accepted", "running"})


class Children(msgspec.Struct, frozen=True, kw_only=True):
    """What a job revokes besides its plan: what those tokens made, and what that made, whenever it was made.

    With `made_by`, also what this user or token made. With `owner`, this owner's tokens alone: others are left alone.
    """

    made_by: UUID | None = None
    owner: Owner | None = None


class JobAccepted(Event, frozen=True, kw_only=True):
    """All tokens of a plan, so many of them, are to be revoked; the reason and the filter are private."""

    plan: str
    total: int
    children: Children | UnsetType = UNSET


class JobStarted(Event, frozen=True, kw_only=True):
    """The first of them is being revoked."""


class JobFinished(Event, frozen=True, kw_only=True):
    """All were tried: so many were revoked by this job, and so many could not be; the rest had been revoked before."""

    revoked: int
    failed: int


class JobCancelled(Event, frozen=True, kw_only=True):
    """No further token is revoked; those that were stay so."""


EVENTS: Final[dict[str, type[Event]]] = {
    "accepted": JobAccepted,
    "started": JobStarted,
    "finished": JobFinished,
    "cancelled": JobCancelled,
}


class AcceptJob(SubjectCommand, frozen=True, kw_only=True):
    """Have all tokens of a plan revoked; `description` is the filter that they were found by."""

    plan: str
    total: int
    reason: str
    description: str = ""
    children: Children | None = None


class StartJob(SubjectCommand, frozen=True, kw_only=True):
    """Say that it begins."""


class FinishJob(SubjectCommand, frozen=True, kw_only=True):
    """Say that there is nothing left to do."""

    revoked: int
    failed: int


class CancelJob(SubjectCommand, frozen=True, kw_only=True):
    """Leave the rest of them as they are."""


COMMANDS: Final = (AcceptJob, StartJob, FinishJob, CancelJob)


class Job(Small, frozen=True, kw_only=True):
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


def decide(job: Job | None, command: SubjectCommand, _: Around) -> list[Event]:
    """Return what happens if this is asked of this job, or raise a Refusal."""
    if isinstance(command, AcceptJob):
        return _accept(job, command)
    if job is None:
        raise NotFound
    refuse_stale(job, command)
    match command:
        case StartJob():
            return [JobStarted()] if job.standing == "accepted" else []
        case FinishJob(revoked=revoked, failed=failed):
            return [JobFinished(revoked=revoked, failed=failed)] if job.standing in OPEN else []
        case CancelJob():
            return [JobCancelled()] if job.standing in OPEN else []
    raise no_command(command)


def _accept(job: Job | None, command: AcceptJob) -> list[Event]:
    if job is not None and (job.plan, job.reason) != (command.plan, command.reason):
        raise AlreadyExists
    if job is not None:
        return []
    said = Private(reason=text.checked_reason(command.reason), description=command.description)
    children = UNSET if command.children is None else command.children
    return [JobAccepted(plan=command.plan, total=command.total, children=children, private=said)]


def evolve(job: Job | None, fact: Fact) -> Job:
    """Return the state after one more thing happened."""
    match fact.event:
        case JobAccepted(plan=plan, total=total, children=children, private=said) if job is None:
            reason, filtered = (said and said.reason) or None, (said and said.description) or ""
            return born(
                Job, fact, standing="accepted", plan=plan, total=total, creator=fact.by, reason=reason,
                description=filtered, children=None if children is UNSET else children,
            )  # fmt: skip
        case JobStarted() if job is not None:
            return grown(job, fact, standing="running", started_at=fact.at)
        case JobFinished(revoked=revoked, failed=failed) if job is not None:
            return grown(job, fact, standing="finished", ended_at=fact.at, revoked=revoked, failed=failed)
        case JobCancelled() if job is not None:
            return grown(job, fact, standing="cancelled", ended_at=fact.at)
    raise unexpected(fact)
