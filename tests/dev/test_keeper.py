"""The supervisor restarts failing processes with growing pauses."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from counterfoil_dev.keeper import FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS, SETTLED_SECONDS, Keeper


@dataclass
class Mortal:
    """A stand-in for a process that is alive or dead."""

    name: str = "api"
    alive: bool = True
    end: str = "ended with status 1"
    swept: int = 0
    starts: list[float] = field(default_factory=list)

    def sweep(self) -> None:
        self.swept += 1

    def trim_log(self) -> None:
        pass


@dataclass
class World:
    """A child, its keeper, and a clock that the test moves."""

    child: Mortal = field(default_factory=Mortal)
    now: float = 1000.0
    output: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        child: Any = self.child
        self.keeper = Keeper(child, self.start, self.output.append, clock=lambda: self.now)

    def start(self) -> None:
        self.child.alive = True
        self.child.starts.append(self.now)

    def live(self, seconds: float, *, stillborn: bool = False) -> None:
        until = self.now + seconds
        while self.now < until:
            self.keeper.look()
            self.child.alive = self.child.alive and not stillborn
            self.now += 0.05


def test_a_living_child_is_left_alone() -> None:
    world = World()
    world.live(60)
    assert world.child.starts == []
    assert world.output == []


def test_a_dead_child_is_restarted_almost_at_once() -> None:
    world = World()
    world.child.alive = False
    world.live(1)
    assert len(world.child.starts) == 1
    assert world.child.starts[0] - 1000.0 <= FIRST_DELAY_SECONDS + 0.1
    assert world.output == ["api ended with status 1; starting it again in 0.1 s"]


def test_leftovers_are_ended_before_a_restart() -> None:
    world = World()
    world.child.alive = False
    world.live(1)
    assert world.child.swept == 1


def test_a_child_that_keeps_dying_is_restarted_at_growing_intervals_for_ever() -> None:
    world = World()
    world.child.alive = False
    world.live(120, stillborn=True)
    starts = world.child.starts
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert gaps == sorted(gaps) or max(gaps) <= LONGEST_DELAY_SECONDS + 0.2
    assert gaps[-1] <= LONGEST_DELAY_SECONDS + 0.2
    assert gaps[-1] > 10 * gaps[0]
    assert starts[-1] > world.now - LONGEST_DELAY_SECONDS - 0.2


def test_a_child_that_runs_stably_gets_short_intervals_again() -> None:
    world = World()
    world.child.alive = False
    world.live(20, stillborn=True)
    world.live(SETTLED_SECONDS + 6)
    world.child.alive = False
    died = world.now
    world.live(1)
    assert world.child.starts[-1] - died <= FIRST_DELAY_SECONDS + 0.1
