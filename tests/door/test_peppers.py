"""A digest is stored only under a pepper that verifies it, even if a process missed a change of peppers."""

import asyncio
from typing import Any

import pytest

from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.refusals import Overloaded
from counterfoil.core.secret import Peppers, mint
from counterfoil.core.subjects import peppers
from counterfoil.core.subjects.peppers import PEPPER_SET, ActivatePepper, IntroducePeppers, RetirePepper
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.unit_of_work import AllOrNothing, Outcome, Request
from counterfoil.door import Door
from counterfoil_dev.postgres import Database
from door.asking import create, rotate
from door.ledger_invariants import judged

BOTH = Peppers({1: b"1" * 32, 2: b"2" * 32})
ABOUT: dict[str, Any] = {"account": NIL, "id": PEPPER_SET, "by": SYSTEM}


def under(number: int) -> Create:
    """A token whose secret was digested while this pepper signed."""
    BOTH.follow(number, ())
    return create(secret=BOTH.minted(mint("service")))


async def turned(door: Door) -> list[Outcome]:
    """Activate pepper 1, and then pepper 2."""
    introduced = await door.execute(IntroducePeppers(**ABOUT, checks=BOTH.checks()))
    return [introduced, *[await door.execute(ActivatePepper(**ABOUT, number=number)) for number in (1, 2)]]


async def test_no_secret_is_minted_under_a_retired_pepper_and_neighbours_go_on(door: Door, database: Database) -> None:
    outcomes = await turned(door)
    made, late = under(1), under(1)
    outcomes.append(await door.execute(made))  # some processes still mint under the other pepper
    outcomes.append(await door.execute(RetirePepper(**ABOUT, number=1, left=1, force=True)))
    sleeper = rotate(made, secret=late.secret)
    asked: list[Request] = [
        late,
        sleeper,
        AllOrNothing((under(2), under(1))),
        under(2),
        rotate(made, secret=under(2).secret),
    ]
    answers = await asyncio.gather(*(door.execute(each) for each in asked), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Overloaded] * 3 + [Outcome] * 2
    outcomes += [answer for answer in answers if isinstance(answer, Outcome)]
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_process_that_missed_a_change_of_peppers_for_long_mints_nothing(
    door: Door, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = [*await turned(door), await door.execute(under(1))]
    monkeypatch.setattr(peppers, "PROPAGATION_SECONDS", 0)
    with pytest.raises(Overloaded, match="that another pepper signs"):
        await door.execute(under(1))
    outcomes += [await door.execute(under(2)), await door.execute(ActivatePepper(**ABOUT, number=1))]
    outcomes.append(await door.execute(under(1)))
    (await judged(database.owner_url)).holds_exactly(outcomes)
