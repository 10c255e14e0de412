"""A bulk revocation is accepted once, started once, and ends when it is finished or cancelled, whichever is first."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs

from core.deciding import decide
from core.histories import ACCOUNT, ADMIN, NOON
from counterfoil.core.events import Event, Fact, Private, Subject
from counterfoil.core.kinds import TYPE_OF, evolve
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import AlreadyExists, BadText, NotFound, StaleRevision
from counterfoil.core.subjects.account import EndSecrets
from counterfoil.core.subjects.bulk_revocation import (
    AcceptBulkRevocation,
    BulkRevocation,
    BulkRevocationAccepted,
    BulkRevocationCancelled,
    BulkRevocationFinished,
    BulkRevocationStarted,
    CancelBulkRevocation,
    Children,
    FinishBulkRevocation,
    StartBulkRevocation,
)
from counterfoil.core.subjects.subject import Command, DecisionContext

ID = UUID(int=0x10B)
PLAN = "ab" * 32
OWNER = Owner("service", "ci")
SAID = Private(reason="leaked", filter={"name": "ci-*"})
ACCEPTED = BulkRevocationAccepted(plan=PLAN, total=3, private=SAID)


def command_of(command: type[Command], **fields: Any) -> Command:
    return command(account=ACCOUNT, id=ID, by=ADMIN, **fields)


def accept(**fields: Any) -> Command:
    return command_of(
        AcceptBulkRevocation,
        **{"plan": PLAN, "total": 3, "reason": "leaked", "filter": {"name": "ci-*"}, **fields},
    )


def fact(event: Event, version: int) -> Fact:
    at = NOON + timedelta(seconds=version)
    return Fact(
        account=ACCOUNT, subject=Subject("bulk_revocation", ID), version=version, type=TYPE_OF[type(event)], at=at,
        by=ADMIN.actor, event=event,
    )  # fmt: skip


def after(*history: Event) -> BulkRevocation | None:
    revocation = None
    for version, event in enumerate(history, start=1):
        revocation = evolve(revocation, fact(event, version))
    assert revocation is None or isinstance(revocation, BulkRevocation)
    return revocation


FINISHED = BulkRevocationFinished(revoked=2, failed=1)


@pytest.mark.parametrize(
    ("history", "command", "events"),
    [
        ((), accept(), [ACCEPTED]),
        ((), accept(children=Children(owner=OWNER)), [structs.replace(ACCEPTED, children=Children(owner=OWNER))]),
        ((ACCEPTED,), accept(), []),
        ((ACCEPTED, BulkRevocationCancelled()), accept(), []),
        ((ACCEPTED,), command_of(StartBulkRevocation), [BulkRevocationStarted()]),
        ((ACCEPTED, BulkRevocationStarted()), command_of(StartBulkRevocation), []),
        ((ACCEPTED, BulkRevocationCancelled()), command_of(StartBulkRevocation), []),
        ((ACCEPTED, BulkRevocationStarted()), command_of(FinishBulkRevocation, revoked=2, failed=1), [FINISHED]),
        ((ACCEPTED,), command_of(FinishBulkRevocation, revoked=2, failed=1), [FINISHED]),
        ((ACCEPTED, BulkRevocationStarted(), FINISHED), command_of(FinishBulkRevocation, revoked=3, failed=0), []),
        ((ACCEPTED, BulkRevocationCancelled()), command_of(FinishBulkRevocation, revoked=3, failed=0), []),
        ((ACCEPTED,), command_of(CancelBulkRevocation), [BulkRevocationCancelled()]),
        ((ACCEPTED, BulkRevocationStarted(), FINISHED), command_of(CancelBulkRevocation), []),
        ((ACCEPTED, BulkRevocationCancelled()), command_of(CancelBulkRevocation), []),
    ],
)
def test_a_command_yields_its_events(history: tuple[Event, ...], command: Command, events: list[Event]) -> None:
    assert decide(after(*history), command, DecisionContext(at=NOON)) == events


@pytest.mark.parametrize(
    ("history", "command", "refusal"),
    [
        ((ACCEPTED,), accept(plan="cd" * 32), AlreadyExists),
        ((ACCEPTED,), accept(reason="another"), AlreadyExists),
        ((), accept(reason=""), BadText),
        ((), accept(reason="a\x00b"), BadText),
        ((), command_of(StartBulkRevocation), NotFound),
        ((), command_of(CancelBulkRevocation), NotFound),
        ((ACCEPTED,), command_of(CancelBulkRevocation, revisions=frozenset({7})), StaleRevision),
    ],
)
def test_an_invalid_command_is_refused(history: tuple[Event, ...], command: Command, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        decide(after(*history), command, DecisionContext(at=NOON))


def test_a_bulk_revocation_records_its_caller_reason_and_result() -> None:
    revocation = after(ACCEPTED, BulkRevocationStarted(), FINISHED)
    assert revocation is not None
    assert (revocation.creator, revocation.reason, revocation.filter, revocation.total) == (
        ADMIN.actor,
        "leaked",
        SAID.filter,
        3,
    )
    assert (revocation.status, revocation.revoked, revocation.failed, revocation.revision) == ("finished", 2, 1, 3)
    assert (revocation.started_at, revocation.ended_at) == (NOON + timedelta(seconds=2), NOON + timedelta(seconds=3))
    assert revocation.children is None
    whole = after(structs.replace(ACCEPTED, children=Children(made_by=ID)))
    assert whole is not None
    assert whole.children == Children(made_by=ID)
    erased = after(BulkRevocationAccepted(plan=PLAN, total=3))
    assert erased is not None
    assert (erased.status, erased.reason, erased.filter) == ("accepted", None, None)


@pytest.mark.parametrize(
    "history", [(BulkRevocationStarted(),), (FINISHED,), (BulkRevocationCancelled(),), (ACCEPTED, ACCEPTED)]
)
def test_an_impossible_event_is_a_broken_log(history: tuple[Event, ...]) -> None:
    with pytest.raises(ValueError, match="cannot come here"):
        after(*history)


def test_a_command_of_another_kind_is_a_bug() -> None:
    from counterfoil.core.subjects import bulk_revocation as revocation  # noqa: PLC0415 - beside the registry, which would never ask it

    with pytest.raises(TypeError):
        revocation.decide(after(ACCEPTED), command_of(EndSecrets, reason="x"), DecisionContext(at=NOON))
