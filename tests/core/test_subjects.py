"""Subjects other than tokens: each is created once, and every event has one word in the log."""

from typing import Any
from uuid import UUID

import pytest

from core.deciding import decide
from core.histories import ADMIN, NOON
from counterfoil.core.codec import entry_of, fact_of, seal
from counterfoil.core.events import Event, Fact, Private, Subject
from counterfoil.core.kinds import EVENTS, KIND_OF, KINDS, TYPE_OF, evolve
from counterfoil.core.refusals import AlreadyExists, BadText, StaleRevision
from counterfoil.core.subjects.account import AccountCreated, CreateAccount
from counterfoil.core.subjects.signing_key_events import KeyCreated, NewKey, PublishKey
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.user import UserContext
from counterfoil.core.subjects.user_commands import CreateUser
from counterfoil.core.subjects.user_events import UserCreated

ID = UUID(int=0xACC)
JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}


def command_of(command: type[Command], **fields: Any) -> Command:
    return command(account=ID, id=ID, by=ADMIN, **fields)


ASKED: list[tuple[Command, Event, dict[str, Any]]] = [
    (
        command_of(CreateAccount, name="Acme"),
        AccountCreated(private=Private(name="Acme")),
        {"name": "Acme", "parent": None, "epoch": 0, "valid_after": None},
    ),
    (
        command_of(CreateUser, number=3, email="ada@example.com", role="administrator", password_hash="$argon2id$…"),
        UserCreated(number=3, role="administrator", private=Private(name="ada@example.com")),
        {"name": "ada@example.com", "role": "administrator", "number": 3, "status": "active"},
    ),
    (
        command_of(
            PublishKey, new_key=NewKey(kid="k1", jwk=JWK, encrypted_private_key=b"sealed"), revisions=frozenset({0})
        ),
        KeyCreated(kid="k1", jwk=JWK),
        {"name": None, "bearer_seconds": 0},
    ),
]
NOW = UserContext(at=NOON)


def fact(event: Event, kind: str) -> Fact:
    subject = Subject(kind, ID)
    return Fact(account=ID, subject=subject, version=1, type=TYPE_OF[type(event)], at=NOON, by=ADMIN.actor, event=event)


@pytest.mark.parametrize(("command", "event", "said"), ASKED)
def test_a_subject_has_the_fields_of_its_creation(command: Command, event: Event, said: Any) -> None:
    assert decide(None, command, NOW) == [event]
    kind = KIND_OF[type(command)].name
    made = evolve(None, fact(event, kind))
    assert type(made) is KINDS[kind].state
    assert {field: getattr(made, field) for field in said} == said
    assert (made.account, made.id, made.version, made.revision, made.created_at, made.at) == (ID, ID, 1, 1, NOON, NOON)


@pytest.mark.parametrize(("command", "event"), [(command, event) for command, event, _ in ASKED])
def test_a_subject_is_created_once(command: Command, event: Event) -> None:
    made = evolve(None, fact(event, KIND_OF[type(command)].name))
    with pytest.raises((AlreadyExists, StaleRevision)):
        decide(made, command, NOW)
    with pytest.raises(ValueError, match="cannot come here"):
        evolve(made, fact(event, KIND_OF[type(command)].name))


@pytest.mark.parametrize(("command", "event"), [(command, event) for command, event, _ in ASKED])
def test_a_subject_is_read_back_from_its_entry(command: Command, event: Event) -> None:
    written = fact(event, KIND_OF[type(command)].name)
    sealed = seal(written, prev=None, salt=bytes(32))
    assert fact_of(entry_of(sealed.entry), sealed.private, EVENTS) == written


def test_names_and_addresses_are_text() -> None:
    for command in (
        command_of(CreateAccount, name=" "),
        command_of(CreateUser, number=1, email="a\x00b", role="administrator", password_hash=""),
    ):
        with pytest.raises(BadText):
            decide(None, command, NOW)


def test_neither_passwords_nor_private_keys_enter_an_event() -> None:
    for command, _, _ in ASKED:
        [event] = decide(None, command, NOW)
        assert "argon2id" not in repr(event)
        assert "sealed" not in repr(event)


def test_an_unknown_command_is_a_bug_and_not_a_refusal() -> None:
    class Bless(Command, frozen=True, kw_only=True): ...

    with pytest.raises(KeyError, match="Bless"):
        decide(None, command_of(Bless), NOW)


def test_every_event_has_one_word_and_one_kind() -> None:
    assert sum(len(words) for words in EVENTS.values()) == len(TYPE_OF)
    ours = {event for event in every_event(Event) if event.__module__.startswith("counterfoil.")}
    assert {event for words in EVENTS.values() for event in words.values()} == ours


def every_event(of: type[Event]) -> set[type[Event]]:
    return {found for event in of.__subclasses__() for found in (event, *every_event(event))}
