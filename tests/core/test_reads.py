"""Reads are never refused, and each reader has a log of its own."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from core.histories import ACCOUNT, NOON
from counterfoil.core.events import Event, Fact, Subject
from counterfoil.core.principal import SYSTEM, Actor
from counterfoil.core.subjects.access import (
    HOUR,
    NAMED_LIMIT,
    Access,
    LogRange,
    NoteAccess,
    Read,
    access_id_of,
    decide,
    evolve,
)
from counterfoil.core.subjects.account import AccountCreated
from counterfoil.core.subjects.subject import DecisionContext

ADA, TOKEN = Actor("user", UUID(int=0xADA)), Actor("token", UUID(int=0xADA))
NOW = DecisionContext(at=NOON)


def noting(reader: Actor = ADA, **said: object) -> NoteAccess:
    fields = {"calls": {"list": 2, "token": 1}, "rows": 7, "id": access_id_of(ACCOUNT, reader), **said}
    return NoteAccess(account=ACCOUNT, by=SYSTEM, reader=reader, **fields)  # type: ignore[arg-type] # as a test says


def fact(event: Event, version: int, at: datetime = NOON) -> Fact:
    subject = Subject("access", access_id_of(ACCOUNT, ADA))
    return Fact(account=ACCOUNT, subject=subject, version=version, type="read", at=at, by=SYSTEM.actor, event=event)


def by_position(first: int, last: int, which: str = "log", **filters: int) -> NoteAccess:
    return noting(calls={which: 1}, log=LogRange(first=first, last=last, filters=filters or {"none": 1}))


def decided(log: Access | None, command: NoteAccess, at: datetime) -> tuple[list[Event], Access | None]:
    events = decide(log, command, DecisionContext(at=at))
    for event in events:
        log = evolve(log, fact(event, log.version + 1 if log else 1, at))
    return events, log


def test_each_reader_has_one_log_in_each_account() -> None:
    readers = [(account, reader) for account in (ACCOUNT, UUID(int=7)) for reader in (ADA, TOKEN)]
    logs = [access_id_of(*each) for each in readers]
    assert logs == [access_id_of(*each) for each in readers]
    assert len(set(logs)) == 4
    assert {(log.version, log.variant) for log in logs} == {(8, "specified in RFC 4122")}


def test_a_read_is_an_event_and_reads_are_merged() -> None:
    log: Access | None = None
    for version in (1, 2):
        (event,) = decide(log, noting(tokens=(UUID(int=1),), seconds=3), NOW)
        assert event == Read(reader=ADA, calls={"list": 2, "token": 1}, rows=7, tokens=(UUID(int=1),), seconds=3)
        log = evolve(log, fact(event, version))
        assert (log.reader, log.calls, log.rows, log.version) == (ADA, 3 * version, 7 * version, version)


def test_an_event_names_a_limited_number_of_tokens() -> None:
    (event,) = decide(None, noting(tokens=tuple(UUID(int=n) for n in range(NAMED_LIMIT + 1))), NOW)
    assert isinstance(event, Read)
    assert len(event.tokens) == NAMED_LIMIT


def test_reads_of_another_reader_are_a_bug() -> None:
    with pytest.raises(TypeError, match="no such command"):
        decide(None, noting(id=access_id_of(ACCOUNT, TOKEN)), NOW)
    with pytest.raises(ValueError, match="cannot come here"):
        evolve(None, fact(AccountCreated(), 1))


def test_reads_of_the_log_are_at_most_one_event_an_hour() -> None:
    (event,), log = decided(None, by_position(1, 9), NOON)
    assert event == Read(
        reader=ADA, calls={"log": 1}, rows=7, tokens=(), seconds=0, log=LogRange(first=1, last=9, filters={"none": 1})
    )
    assert decided(log, by_position(10, 20), NOON) == ([], log)
    assert decided(log, by_position(10, 20), NOON + HOUR - timedelta(microseconds=1)) == ([], log)
    (_,), log = decided(log, by_position(10, 20), NOON + HOUR)
    assert log is not None
    assert (log.log_read_at, log.calls, log.version) == ({"log": NOON + HOUR}, 2, 2)
    assert decided(log, by_position(21, 22), NOON + 2 * HOUR - timedelta(microseconds=1)) == ([], log)


def test_the_hour_delays_no_other_reads_and_no_other_log() -> None:
    _, log = decided(None, noting(), NOON)
    (_,), log = decided(log, by_position(1, 9), NOON)
    (_,), log = decided(log, by_position(1, 90, "whole_log"), NOON)
    (_,), log = decided(log, noting(calls={"events": 1}), NOON)
    assert log is not None
    assert log.log_read_at == {"log": NOON, "whole_log": NOON}
    assert decided(log, by_position(1, 90, "whole_log"), NOON)[0] == []


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ((5, 9), (7, 12), (5, 12)),
        ((5, 9), (1, 2), (1, 9)),
        ((5, 9), (100, 99), (5, 9)),
        ((100, 99), (5, 9), (5, 9)),
        ((8, 7), (8, 7), (8, 7)),
    ],
)
def test_merged_ranges_hold_both_and_an_empty_read_adds_nothing(
    one: tuple[int, int], other: tuple[int, int], both: tuple[int, int]
) -> None:
    first = LogRange(first=one[0], last=one[1], filters={"none": 1, "type": 2})
    joined = first.joined(LogRange(first=other[0], last=other[1], filters={"type": 1, "since": 1}))
    assert joined == LogRange(first=both[0], last=both[1], filters={"none": 1, "type": 3, "since": 1})
    assert first.filters == {"none": 1, "type": 2}
