"""The peppers as the database records them: which exist, which one signs, and which are retired.

One subject holds them all, so that one row decides which of them signs. The keys themselves are in the environment; the
log has a check value of each, by which a process detects a wrong key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from counterfoil.core.events import Event, Fact
from counterfoil.core.refusals import InUse, Misconfigured, NotFound, TooEarly
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import Command, DecisionContext, SubjectState, no_command, unexpected

PEPPER_SET: Final = UUID(int=2)
"""The one subject, in the account of the system itself."""
SYNC_SECONDS: Final = 5
"""A process reads the peppers at least this often; usually once a second."""
PROPAGATION_SECONDS: Final = 30
"""A pepper may be retired this long after another was activated: by then no process mints under it."""


class PepperIntroduced(Event, frozen=True, kw_only=True):
    """A pepper verifies from now on; `check` is its HMAC of a public constant."""

    number: int
    check: str


class PepperActivated(Event, frozen=True, kw_only=True):
    """New secrets are digested under this pepper from now on, and under no other."""

    number: int


class PepperRetired(Event, frozen=True, kw_only=True):
    """Secrets digested only under this pepper are refused; `left` of them were valid, or could be again."""

    number: int
    left: int


EVENTS: Final[dict[str, type[Event]]] = {
    "introduced": PepperIntroduced,
    "activated": PepperActivated,
    "retired": PepperRetired,
}


class IntroducePeppers(Command, frozen=True, kw_only=True):
    """Record the peppers of a process by their check values; among the first ones the highest signs."""

    checks: dict[int, str]


class ActivatePepper(Command, frozen=True, kw_only=True):
    """Digest new secrets under this pepper."""

    number: int


class RetirePepper(Command, frozen=True, kw_only=True):
    """Retire a pepper for ever; if `left` secrets that are still usable have only this one, it takes `force`."""

    number: int
    left: int
    force: bool = False


COMMANDS: Final = (IntroducePeppers, ActivatePepper, RetirePepper)


class Pepper(msgspec.Struct, frozen=True, kw_only=True):
    """One pepper; it has had its status since `at`."""

    number: int
    check: str
    status: Literal["verifying", "signing", "retired"]
    at: datetime

    def is_over(self, at: datetime) -> bool:
        """Say whether no new secret may use this pepper; a process that still does missed the change for too long."""
        known_at = self.at + timedelta(seconds=PROPAGATION_SECONDS)
        return self.status == "retired" or (self.status == "verifying" and known_at <= at)


class PepperSet(SubjectState, frozen=True, kw_only=True):
    """The present state of all peppers, in the order of their introduction."""

    peppers: tuple[Pepper, ...] = ()

    def pepper(self, number: int) -> Pepper | None:
        return next((pepper for pepper in self.peppers if pepper.number == number), None)

    @property
    def signing(self) -> Pepper | None:
        """The pepper that digests new secrets."""
        return next((pepper for pepper in self.peppers if pepper.status == "signing"), None)

    @property
    def retired(self) -> frozenset[int]:
        """The numbers of the retired peppers."""
        return frozenset(pepper.number for pepper in self.peppers if pepper.status == "retired")

    def lacks(self, checks: Mapping[int, str]) -> bool:
        """Say whether a process has a pepper that was not introduced yet."""
        return any(self.pepper(number) is None for number in checks)

    def refuse_others(self, checks: Mapping[int, str]) -> None:
        """Raise Misconfigured unless a process with these peppers can verify and mint the secrets of the others."""
        for number, check in checks.items():
            known = self.pepper(number)
            if known is not None and known.check != check and known.status != "retired":
                raise Misconfigured(
                    f"PEPPERS: {number} is not the key that this database knows under that number."
                    " Set it to that one, and give a new key a number of its own."
                )
        signing = self.signing
        if signing is not None and signing.number not in checks:
            raise Misconfigured(f"PEPPERS lacks {signing.number}, which new secrets use. Add it.")


def decide(pepper_set: PepperSet | None, command: Command, context: DecisionContext) -> list[Event]:
    if isinstance(command, IntroducePeppers):
        return _introduced(pepper_set, command)
    if pepper_set is None:
        raise NotFound
    match command:
        case ActivatePepper(number=number):
            pepper = _known(pepper_set, number)
            if pepper.status == "retired":
                raise InUse(f"Pepper {number} was retired, which is final; activate another one.")
            return [] if pepper.status == "signing" else [PepperActivated(number=number)]
        case RetirePepper():
            return _retired(pepper_set, command, context.at)
    raise no_command(command)


def _introduced(pepper_set: PepperSet | None, command: IntroducePeppers) -> list[Event]:
    if pepper_set is not None:
        pepper_set.refuse_others(command.checks)
    new = sorted(number for number in command.checks if pepper_set is None or pepper_set.pepper(number) is None)
    events: list[Event] = [PepperIntroduced(number=number, check=command.checks[number]) for number in new]
    return [*events, PepperActivated(number=new[-1])] if pepper_set is None else events


def _retired(pepper_set: PepperSet, command: RetirePepper, at: datetime) -> list[Event]:
    pepper = _known(pepper_set, command.number)
    if pepper.status == "retired":
        return []
    if pepper.status == "signing":
        raise InUse(f"New secrets use pepper {pepper.number}; activate another one first.")
    if not command.force:
        due = pepper.at + timedelta(seconds=PROPAGATION_SECONDS)
        if at < due:
            raise TooEarly(f"Some processes may not know of the last change yet; try again at {due:%H:%M:%S} UTC.")
        if command.left:
            raise InUse(
                f"{command.left:,} secrets and recovery codes use pepper {pepper.number} alone and would stop"
                " working. Each secret moves to the new pepper when it is next used; the secret of an expired token"
                " counts until the token is revoked."
            )
    return [PepperRetired(number=command.number, left=command.left)]


def _known(pepper_set: PepperSet, number: int) -> Pepper:
    pepper = pepper_set.pepper(number)
    if pepper is None:
        raise NotFound(f"Pepper {number} does not exist: no process was ever started with it in PEPPERS.")
    return pepper


def evolve(pepper_set: PepperSet | None, fact: Fact) -> PepperSet:
    match fact.event:
        case PepperIntroduced(number=number, check=check) if pepper_set is None or pepper_set.pepper(number) is None:
            new = Pepper(number=number, check=check, status="verifying", at=fact.at)
            if pepper_set is None:
                return PepperSet.created(fact, peppers=(new,))
            return pepper_set.after(fact, peppers=(*pepper_set.peppers, new))
        case PepperActivated() | PepperRetired() as event if pepper_set is not None and pepper_set.pepper(event.number):
            return pepper_set.after(fact, peppers=tuple(_after(each, event, fact.at) for each in pepper_set.peppers))
    raise unexpected(fact)


def _after(pepper: Pepper, event: PepperActivated | PepperRetired, at: datetime) -> Pepper:
    if pepper.number == event.number:
        return replace(pepper, status="signing" if isinstance(event, PepperActivated) else "retired", at=at)
    if pepper.status == "signing" and isinstance(event, PepperActivated):
        return replace(pepper, status="verifying", at=at)
    return pepper


KIND: Final = Kind("peppers", PepperSet, EVENTS, COMMANDS, decide, evolve)
