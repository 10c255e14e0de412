"""Laws of the grace after a rotation, whatever callers do and whichever secret they use."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.histories import BORN, CREATED, DAY, HOUR, NEXT, command_of, fact
from counterfoil.core.events import Event
from counterfoil.core.refusals import Refusal
from counterfoil.core.subjects.token.acceptance import Context, previous_is_good, refusal_for
from counterfoil.core.subjects.token.commands import (
    AnnounceGrace,
    ConfirmRotation,
    ExtendGrace,
    Rotate,
    Suspend,
    TokenCommand,
)
from counterfoil.core.subjects.token.decide import decide
from counterfoil.core.subjects.token.events import GraceEnding, GraceExtended, Rotated, RotationConfirmed
from counterfoil.core.subjects.token.secret_uses import NetworkUses, SecretUses, quiet_since
from counterfoil.core.subjects.token.state import Token, evolve

NOTICE = 86_400
Use = tuple[str, int]
"""A network, and how many generations its secret is behind."""
_uses = st.tuples(st.sampled_from(["203.0.113.0/24", "2001:db8::/64"]), st.sampled_from([0, 1, 1, 2]))
_commands: st.SearchStrategy[TokenCommand] = st.sampled_from(
    [
        command_of(Rotate, secret=NEXT, grace_seconds=3600),
        command_of(Rotate, secret=NEXT, grace_seconds=7 * 86_400, ends_previous=True),
        command_of(Rotate, secret=NEXT, grace_seconds=0),
        command_of(ConfirmRotation),
        command_of(ConfirmRotation, even_if_unused=True),
        command_of(ExtendGrace, grace_seconds=7200),
        command_of(ExtendGrace, grace_seconds=10 * 86_400),
        command_of(Suspend),
        *[command_of(AnnounceGrace, notice_seconds=NOTICE)] * 5,
    ]
)
_waits = st.sampled_from([timedelta(0), timedelta(minutes=20), HOUR, 5 * HOUR, DAY, 3 * DAY])
STEPS = st.lists(st.tuples(_commands | _uses, _waits), min_size=10, max_size=60)


@dataclass
class Rotating:
    """A token, the uses of its secrets, and the events of its graces."""

    token: Token = field(default_factory=lambda: evolve(None, fact(replace(CREATED, expires_at=None), version=1)))
    at: datetime = BORN
    uses: dict[tuple[int, str], NetworkUses] = field(default_factory=dict)
    announced: int = 0

    @property
    def seen(self) -> SecretUses:
        generation = self.token.generation
        return SecretUses(generation, tuple(each for (of, _), each in self.uses.items() if of == generation))

    def use(self, network: str, behind: int) -> None:
        """Use a secret as the verification does: what is refused is not counted."""
        token, generation = self.token, self.token.generation - behind
        if refusal_for(token, generation, self.at) or token.previous_until is None or self.at >= token.previous_until:
            return
        before = self.uses.get((token.generation, network), NetworkUses(network=network))
        if behind:
            after = replace(before, previous=before.previous + 1, previous_last_at=self.at)
        else:
            after = replace(before, present=before.present + 1, present_last_at=self.at)
        self.uses[token.generation, network] = after

    def ask(self, command: TokenCommand) -> None:
        before = self.token
        try:
            events = decide(before, command, self.at, Context(secret_uses=self.seen))
        except Refusal:
            return
        for event in events:
            self.token = evolve(self.token, fact(event, version=self.token.version + 1, at=self.at))
            self.check(before, event, insisted=isinstance(command, ConfirmRotation) and command.even_if_unused)

    def check(self, before: Token, event: Event, *, insisted: bool) -> None:
        match event:
            case RotationConfirmed(unused=unused):
                assert previous_is_good(before, self.at)
                assert not previous_is_good(self.token, self.at)
                assert (unused is True) is (self.seen.present_last_at is None)
                assert insisted or self.seen.present_last_at is not None
            case GraceExtended(previous_until=until):
                assert before.previous_until is not None
                assert before.rotated_at is not None
                assert self.at < before.previous_until < until <= before.rotated_at + 366 * DAY
            case GraceEnding(uses=uses):
                self.announced += 1
                self.check_announcement(before, uses)
        if isinstance(event, Rotated | GraceExtended | RotationConfirmed):
            self.announced = 0
        assert self.announced <= 1, "a grace is announced once"

    def check_announcement(self, before: Token, uses: int) -> None:
        assert before.previous_until is not None
        assert before.grace_start is not None
        grace = before.previous_until - before.grace_start
        assert before.previous_until - min(timedelta(seconds=NOTICE), grace / 2) <= self.at < before.previous_until
        assert self.seen.behind(quiet_since(self.at, grace=grace))
        assert uses == self.seen.previous > 0


@given(STEPS)
@settings(max_examples=200)
def test_a_rotation_is_confirmed_extended_and_announced_by_these_laws(
    steps: list[tuple[TokenCommand | Use, timedelta]],
) -> None:
    rotating = Rotating()
    for step, wait in steps:
        rotating.at += wait
        if isinstance(step, TokenCommand):
            rotating.ask(step)
        else:
            rotating.use(*step)
