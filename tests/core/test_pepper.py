"""The pepper set: one pepper signs, all that are not retired verify, and a number names one key for ever."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from core.histories import NOON
from counterfoil.core.events import Event, Fact, Subject
from counterfoil.core.kinds import TYPE_OF
from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.refusals import InUse, Misconfigured, NotFound, TooEarly
from counterfoil.core.secret import Peppers, mint
from counterfoil.core.subjects.peppers import (
    PEPPER_SET,
    PROPAGATION_SECONDS,
    ActivatePepper,
    IntroducePeppers,
    Pepper,
    PepperActivated,
    PepperIntroduced,
    PepperRetired,
    PepperSet,
    RetirePepper,
    decide,
    evolve,
)
from counterfoil.core.subjects.subject import Command, DecisionContext

ONE, BOTH = {1: "aa"}, {1: "aa", 2: "bb"}


def command_of(command: type[Command], **fields: Any) -> Command:
    return command(account=NIL, id=PEPPER_SET, by=SYSTEM, **fields)


def fact(event: Event, version: int = 1, seconds: int = 0) -> Fact:
    return Fact(
        account=NIL, subject=Subject("peppers", PEPPER_SET), version=version, type=TYPE_OF[type(event)],
        at=NOON + timedelta(seconds=seconds), by=SYSTEM.actor, event=event,
    )  # fmt: skip


def after(*asked: Command) -> PepperSet:
    """The pepper set after this command, given at noon."""
    pepper_set, version = None, 0
    for command in asked:
        for event in decide(pepper_set, command, DecisionContext(at=NOON)):
            version += 1
            pepper_set = evolve(pepper_set, fact(event, version))
    assert pepper_set is not None
    assert [pepper.status for pepper in pepper_set.peppers].count("signing") == 1
    return pepper_set


INTRODUCED = (command_of(IntroducePeppers, checks=ONE), command_of(IntroducePeppers, checks=BOTH))
TURNED = (*INTRODUCED, command_of(ActivatePepper, number=2))
LATER = DecisionContext(at=NOON + timedelta(seconds=PROPAGATION_SECONDS))


def statuses(pepper_set: PepperSet) -> dict[int, str]:
    return {pepper.number: pepper.status for pepper in pepper_set.peppers}


def test_of_the_first_peppers_the_highest_signs_and_later_ones_wait_for_activation() -> None:
    assert statuses(after(command_of(IntroducePeppers, checks=BOTH))) == {1: "verifying", 2: "signing"}
    assert statuses(after(*INTRODUCED)) == {1: "signing", 2: "verifying"}


def test_introducing_a_pepper_again_changes_nothing() -> None:
    pepper_set = after(*INTRODUCED)
    assert decide(pepper_set, INTRODUCED[1], LATER) == []
    assert not pepper_set.lacks(BOTH)
    assert pepper_set.lacks({**BOTH, 3: "cc"})


@pytest.mark.parametrize("checks", [{1: "cc"}, {1: "aa", 2: "cc"}, {2: "bb"}])
def test_a_changed_key_and_a_missing_signing_pepper_are_detected(checks: dict[int, str]) -> None:
    pepper_set = after(*INTRODUCED)
    with pytest.raises(Misconfigured, match="PEPPERS"):
        decide(pepper_set, command_of(IntroducePeppers, checks=checks), LATER)
    pepper_set.refuse_others(BOTH)


def test_after_an_activation_the_other_pepper_verifies_and_can_be_activated_again() -> None:
    pepper_set = after(*TURNED)
    assert statuses(pepper_set) == {1: "verifying", 2: "signing"}
    assert decide(pepper_set, TURNED[2], LATER) == []
    assert statuses(after(*TURNED, command_of(ActivatePepper, number=1))) == {1: "signing", 2: "verifying"}


def test_a_pepper_is_retired_when_no_good_secret_is_left_under_it() -> None:
    pepper_set = after(*TURNED)
    with pytest.raises(TooEarly):
        decide(pepper_set, command_of(RetirePepper, number=1, left=0), DecisionContext(at=NOON))
    with pytest.raises(InUse, match="3 secrets and recovery codes use pepper 1 alone"):
        decide(pepper_set, command_of(RetirePepper, number=1, left=3), LATER)
    assert decide(pepper_set, command_of(RetirePepper, number=1, left=0), LATER) == [PepperRetired(number=1, left=0)]
    assert decide(pepper_set, command_of(RetirePepper, number=1, left=3, force=True), DecisionContext(at=NOON)) == [
        PepperRetired(number=1, left=3)
    ]


def test_the_signing_pepper_cannot_be_retired() -> None:
    with pytest.raises(InUse):
        decide(after(*TURNED), command_of(RetirePepper, number=2, left=0, force=True), LATER)


def test_a_retired_pepper_stays_retired_and_its_key_is_not_compared_any_more() -> None:
    pepper_set = evolve(after(*TURNED), fact(PepperRetired(number=1, left=0), 5))
    assert (statuses(pepper_set), set(pepper_set.retired)) == ({1: "retired", 2: "signing"}, {1})
    assert decide(pepper_set, command_of(RetirePepper, number=1, left=0), LATER) == []
    assert decide(pepper_set, command_of(IntroducePeppers, checks={1: "cc", 2: "bb"}), LATER) == []
    with pytest.raises(InUse):
        decide(pepper_set, command_of(ActivatePepper, number=1), LATER)


def test_no_new_digest_is_stored_under_a_retired_or_long_replaced_pepper() -> None:
    pepper = Pepper(number=1, check="aa", status="signing", at=NOON)
    before, then = NOON + timedelta(seconds=PROPAGATION_SECONDS - 1), NOON + timedelta(seconds=PROPAGATION_SECONDS)
    assert [pepper.is_over(at) for at in (before, then)] == [False, False]
    assert [replace(pepper, status="verifying").is_over(at) for at in (before, then)] == [False, True]
    assert replace(pepper, status="retired").is_over(NOON)


@pytest.mark.parametrize("command", [command_of(ActivatePepper, number=7), command_of(RetirePepper, number=7, left=0)])
def test_an_unknown_pepper_is_not_found(command: Command) -> None:
    for pepper_set in (None, after(*TURNED)):
        with pytest.raises(NotFound):
            decide(pepper_set, command, LATER)


@pytest.mark.parametrize(
    "event", [PepperIntroduced(number=1, check="aa"), PepperActivated(number=7), PepperRetired(number=7, left=0)]
)
def test_an_impossible_event_is_a_broken_log(event: Event) -> None:
    with pytest.raises(ValueError, match="cannot come here"):
        evolve(after(*TURNED), fact(event, 5))


@pytest.mark.parametrize("event", [PepperActivated(number=1), PepperRetired(number=1, left=0)])
def test_no_event_comes_before_the_first(event: Event) -> None:
    with pytest.raises(ValueError, match="cannot come here"):
        evolve(None, fact(event))


def test_a_command_of_another_kind_is_a_bug() -> None:
    class Bless(Command, frozen=True, kw_only=True): ...

    with pytest.raises(TypeError, match="Bless"):
        decide(after(*TURNED), command_of(Bless), LATER)


KEYS = {1: b"\x01" * 32, 2: b"\x02" * 32, 3: b"\x03" * 32}


def test_the_pepper_set_decides_which_peppers_mint_and_verify() -> None:
    secret, peppers = mint("service"), Peppers(KEYS)
    under = {number: Peppers({number: key}).minted(secret).digest for number, key in KEYS.items()}
    peppers.follow(2, frozenset({1}))
    assert peppers.minted(secret).pepper_id == 2
    assert peppers.digests(secret) == (under[2], under[3]), "the one that signs first, a retired one not at all"
    assert list(peppers.again(secret)) == [(under[3], under[2])]
    with pytest.raises(KeyError):
        peppers.follow(4, frozenset())


def test_other_macs_do_not_depend_on_the_signing_pepper() -> None:
    peppers = Peppers(KEYS, mac_key=b"m" * 32)
    before = peppers.hmac(b"a")
    peppers.follow(2, frozenset({1}))
    assert before == peppers.hmac(b"a") == Peppers({9: b"9" * 32}, mac_key=b"m" * 32).hmac(b"a")
    assert before != Peppers(KEYS).hmac(b"a")


def test_a_check_value_distinguishes_keys_and_is_no_digest_of_a_secret() -> None:
    checks = Peppers(KEYS).checks()
    assert len(set(checks.values())) == 3
    assert all(len(bytes.fromhex(check)) == 16 for check in checks.values())
    assert Peppers({1: b"other" * 8}).checks()[1] != checks[1]
