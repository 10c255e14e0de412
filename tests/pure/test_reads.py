"""Reads are never refused, and each reader's stand in a log of their own."""

from uuid import UUID

import pytest

from counterfoil.events import Event, Fact, Subject
from counterfoil.principal import SYSTEM, Actor
from counterfoil.subjects.account import AccountCreated
from counterfoil.subjects.reads import NAMED_LIMIT, Log, NoteReads, Read, decide, evolve, log_of
from counterfoil.subjects.small import Around
from pure.stories import ACCOUNT, NOON

ADA, TOKEN = Actor("user", UUID(int=0xADA)), Actor("token", UUID(int=0xADA))
NOW = Around(at=NOON)


def noting(reader: Actor = ADA, **said: object) -> NoteReads:
    fields = {"calls": {"list": 2, "token": 1}, "shown": 7, "id": log_of(ACCOUNT, reader), **said}
    return NoteReads(account=ACCOUNT, by=SYSTEM, reader=reader, **fields)  # type: ignore[arg-type] # as a test says


def fact(event: Event, version: int) -> Fact:
    subject = Subject("log", log_of(ACCOUNT, ADA))
    return Fact(account=ACCOUNT, subject=subject, version=version, type="read", at=NOON, by=SYSTEM.actor, event=event)


def test_each_reader_has_one_log_in_each_account() -> None:
    readers = [(account, reader) for account in (ACCOUNT, UUID(int=7)) for reader in (ADA, TOKEN)]
    logs = [log_of(*each) for each in readers]
    assert logs == [log_of(*each) for each in readers]
    assert len(set(logs)) == 4
    assert {(log.version, log.variant) for log in logs} == {(8, "specified in RFC 4122")}


def test_a_read_is_an_event_and_adds_up() -> None:
    log: Log | None = None
    for version in (1, 2):
        (event,) = decide(log, noting(tokens=(UUID(int=1),), seconds=3), NOW)
        assert event == Read(reader=ADA, calls={"list": 2, "token": 1}, shown=7, tokens=(UUID(int=1),), seconds=3)
        log = evolve(log, fact(event, version))
        assert (log.reader, log.calls, log.shown, log.version) == (ADA, 3 * version, 7 * version, version)


def test_an_event_names_so_many_tokens_and_no_more() -> None:
    (event,) = decide(None, noting(tokens=tuple(UUID(int=n) for n in range(NAMED_LIMIT + 1))), NOW)
    assert isinstance(event, Read)
    assert len(event.tokens) == NAMED_LIMIT


def test_reads_in_the_log_of_another_are_a_bug() -> None:
    with pytest.raises(TypeError, match="no such command"):
        decide(None, noting(id=log_of(ACCOUNT, TOKEN)), NOW)
    with pytest.raises(ValueError, match="cannot come here"):
        evolve(None, fact(AccountCreated(), 1))
