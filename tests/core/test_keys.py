"""The key ring: one key signs from the first moment on; each step of a rotation comes in order and not too early."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core.histories import NOON
from counterfoil.core.events import Event, Fact, Private, Subject
from counterfoil.core.kinds import TYPE_OF
from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.refusals import AlreadyExists, BadText, InUse, NotFound, StaleRevision, TooEarly
from counterfoil.core.subjects.signing_key_events import (
    ActivateKey,
    BearerLifetimeExtended,
    ExtendBearerLifetime,
    KeyActivated,
    KeyCreated,
    KeyPublished,
    KeyRemoved,
    KeyRetired,
    NewKey,
    PublishKey,
    RemoveKey,
)
from counterfoil.core.subjects.signing_keys import PUBLISHED_SECONDS, RING, SKEW_SECONDS, Ring, decide, evolve
from counterfoil.core.subjects.subject import Command, DecisionContext

JWK = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}
HOUR = 3_600


def new(kid: str) -> NewKey:
    return NewKey(kid=kid, jwk=JWK, encrypted_private_key=b"sealed")


def command_of(command: type[Command], **fields: Any) -> Command:
    return command(account=NIL, id=RING, by=SYSTEM, **fields)


def fact(event: Event, version: int, at: datetime) -> Fact:
    return Fact(
        account=NIL, subject=Subject("signing_keys", RING), version=version, type=TYPE_OF[type(event)], at=at,
        by=SYSTEM.actor, event=event,
    )  # fmt: skip


class Story:
    """The ring after the commands so far, one a second after noon."""

    def __init__(self, *said: tuple[int, Command]) -> None:
        self.ring: Ring | None = None
        self.version = 0
        for seconds, command in said:
            self.ask(seconds, command)

    def ask(self, seconds: int, command: Command) -> list[Event]:
        at = NOON + timedelta(seconds=seconds)
        events = decide(self.ring, command, DecisionContext(at=at))
        for event in events:
            self.version += 1
            self.ring = evolve(self.ring, fact(event, self.version, at))
        assert self.ring is not None
        assert [key.status for key in self.ring.keys].count("active") == 1, "exactly one signs, whatever is asked"
        return events

    def statuses(self) -> dict[str, str]:
        return {key.kid: key.status for key in self.ring.keys} if self.ring else {}


FIRST = (0, command_of(PublishKey, new_key=new("a")))
SECOND = (10, command_of(PublishKey, new_key=new("b")))
LONG = (0, command_of(ExtendBearerLifetime, seconds=HOUR))
TURNED = (10 + PUBLISHED_SECONDS, command_of(ActivateKey, kid="b"))
OVER = TURNED[0] + HOUR + SKEW_SECONDS


def test_the_first_key_signs_at_once_and_the_next_one_waits() -> None:
    story = Story()
    assert story.ask(*FIRST) == [KeyCreated(kid="a", jwk=JWK)]
    assert story.ask(*SECOND) == [KeyPublished(kid="b", jwk=JWK)]
    assert story.statuses() == {"a": "active", "b": "published"}


def test_only_one_key_waits_and_no_key_is_added_twice() -> None:
    story = Story(FIRST, SECOND)
    for kid, refusal in (("c", InUse), ("a", AlreadyExists)):
        with pytest.raises(refusal):
            story.ask(20, command_of(PublishKey, new_key=new(kid)))


def test_a_key_signs_no_earlier_than_every_verifier_can_have_it() -> None:
    story = Story(FIRST, SECOND)
    with pytest.raises(TooEarly) as told:
        story.ask(TURNED[0] - 1, TURNED[1])
    assert told.value.facts["due"] == NOON + timedelta(seconds=TURNED[0])
    assert story.ask(*TURNED) == [KeyRetired(kid="a"), KeyActivated(kid="b")]
    assert story.statuses() == {"a": "retired", "b": "active"}
    assert story.ask(*TURNED) == []


def test_in_an_emergency_a_waiting_key_signs_at_once() -> None:
    story = Story(FIRST, SECOND)
    assert story.ask(11, command_of(ActivateKey, kid="b", emergency=True)) == [
        KeyRetired(kid="a"),
        KeyActivated(kid="b"),
    ]


def test_a_retired_key_never_signs_again() -> None:
    with pytest.raises(InUse):
        Story(FIRST, SECOND, TURNED).ask(TURNED[0], command_of(ActivateKey, kid="a", emergency=True))


def test_a_retired_key_is_removed_after_the_expiry_of_its_last_bearer() -> None:
    story = Story(FIRST, LONG, SECOND, TURNED)
    with pytest.raises(TooEarly):
        story.ask(OVER - 1, command_of(RemoveKey, kid="a"))
    assert story.ask(OVER, command_of(RemoveKey, kid="a")) == [KeyRemoved(kid="a")]
    assert story.statuses() == {"a": "removed", "b": "active"}
    assert story.ask(OVER, command_of(RemoveKey, kid="a")) == []


def test_longer_bearer_lifetimes_keep_retired_keys_longer() -> None:
    story = Story(FIRST, LONG, SECOND, TURNED)
    assert story.ask(TURNED[0], command_of(ExtendBearerLifetime, seconds=2 * HOUR)) == [
        BearerLifetimeExtended(seconds=2 * HOUR)
    ]
    assert story.ask(TURNED[0], command_of(ExtendBearerLifetime, seconds=HOUR)) == []
    with pytest.raises(TooEarly):
        story.ask(OVER, command_of(RemoveKey, kid="a"))


@pytest.mark.parametrize("kid", ["a", "b"])
def test_a_waiting_or_signing_key_is_removed_only_in_an_emergency(kid: str) -> None:
    with pytest.raises(InUse):
        Story(FIRST, SECOND).ask(10**6, command_of(RemoveKey, kid=kid))


def test_in_an_emergency_the_waiting_key_replaces_the_removed_one() -> None:
    story = Story(FIRST, SECOND)
    removed = KeyRemoved(kid="a", private=Private(reason="stolen"))
    assert story.ask(11, command_of(RemoveKey, kid="a", reason="stolen")) == [removed, KeyActivated(kid="b")]
    assert story.statuses() == {"a": "removed", "b": "active"}


def test_in_an_emergency_a_successor_signs_without_waiting() -> None:
    story = Story(FIRST, SECOND)
    removed = KeyRemoved(kid="a", private=Private(reason="stolen"))
    assert story.ask(11, command_of(RemoveKey, kid="a", reason="stolen", successor=new("c"))) == [
        removed, KeyPublished(kid="c", jwk=JWK), KeyActivated(kid="c"),
    ]  # fmt: skip
    assert story.statuses() == {"a": "removed", "b": "published", "c": "active"}


def test_the_last_key_needs_a_successor_to_be_removed_and_no_key_is_added_twice() -> None:
    story = Story(FIRST)
    with pytest.raises(InUse):
        story.ask(1, command_of(RemoveKey, kid="a", reason="stolen"))
    with pytest.raises(AlreadyExists):
        story.ask(1, command_of(RemoveKey, kid="a", reason="stolen", successor=new("a")))


def test_in_an_emergency_a_key_that_does_not_sign_is_removed_without_a_successor() -> None:
    story = Story(FIRST, SECOND)
    assert story.ask(11, command_of(RemoveKey, kid="b", reason="stolen")) == [
        KeyRemoved(kid="b", private=Private(reason="stolen"))
    ]
    with pytest.raises(BadText):
        story.ask(12, command_of(RemoveKey, kid="a", reason=" ", successor=new("c")))


def test_an_unknown_key_is_not_found() -> None:
    for command in (command_of(ActivateKey, kid="z"), command_of(RemoveKey, kid="z")):
        with pytest.raises(NotFound):
            Story(FIRST).ask(1, command)
        with pytest.raises(NotFound):
            decide(None, command, DecisionContext(at=NOON))


def test_of_two_commands_for_the_same_ring_one_is_refused() -> None:
    story = Story(FIRST, SECOND)
    revisions = frozenset({2})
    story.ask(TURNED[0], command_of(ActivateKey, kid="b", revisions=revisions))
    with pytest.raises(StaleRevision):
        story.ask(TURNED[0], command_of(PublishKey, new_key=new("c"), revisions=revisions))


def test_a_published_key_is_removed_only_on_request() -> None:
    ring = Story(FIRST, SECOND).ring
    assert ring is not None
    waiting = ring.first("published")
    assert waiting is not None
    assert ring.removal(waiting) is None


@pytest.mark.parametrize(
    "event",
    [
        KeyCreated(kid="c", jwk=JWK), KeyPublished(kid="a", jwk=JWK), KeyActivated(kid="a"), KeyRetired(kid="b"),
        KeyActivated(kid="z"),
    ],
)  # fmt: skip
def test_an_impossible_event_is_a_broken_log(event: Event) -> None:
    story = Story(FIRST, SECOND)
    with pytest.raises(ValueError, match="cannot come here"):
        evolve(story.ring, fact(event, 3, NOON))


@pytest.mark.parametrize(
    "event", [KeyPublished(kid="a", jwk=JWK), KeyRemoved(kid="a"), BearerLifetimeExtended(seconds=1)]
)
def test_no_event_comes_before_the_first_key(event: Event) -> None:
    with pytest.raises(ValueError, match="cannot come here"):
        evolve(None, fact(event, 1, NOON))


def test_a_command_of_another_kind_is_a_bug() -> None:
    class Bless(Command, frozen=True, kw_only=True): ...

    with pytest.raises(TypeError, match="Bless"):
        Story(FIRST).ask(1, Bless(account=NIL, id=UUID(int=1), by=SYSTEM))


def test_a_new_key_does_not_print_its_private_part() -> None:
    assert repr(new("a")) == "NewKey(a)"
