"""Two processes rotate keys at once: one row decides, so one of them succeeds and exactly one key signs."""

import asyncio
from typing import Any

from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.refusals import Refusal
from counterfoil.core.subjects.peppers import PEPPER_SET, ActivatePepper, IntroducePeppers
from counterfoil.core.subjects.signing_key_events import ActivateKey, NewKey, PublishKey, RemoveKey
from counterfoil.core.subjects.signing_keys import RING, Ring
from counterfoil.core.subjects.subject import Command
from counterfoil.core.unit_of_work import Outcome
from counterfoil.door import Door
from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.peppers import stored_pepper_set
from counterfoil.postgres.signing_keys import stored_ring
from counterfoil.uses.key_encryption import Sealing
from counterfoil_dev.postgres import Database

SEALING = Sealing(b"k" * 32)
RACERS = 6


def command_of(command: type[Command], **fields: Any) -> Command:
    return command(account=NIL, id=RING, by=SYSTEM, **fields)


async def race(doors: list[Door], commands: list[Command]) -> list[Outcome]:
    """Send all commands at once, each through its own door; return the successful ones."""
    asked = (door.execute(command) for door, command in zip(doors, commands, strict=True))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [answer for answer in answers if isinstance(answer, BaseException) and not isinstance(answer, Refusal)] == []
    return [answer for answer in answers if isinstance(answer, Outcome) and answer.facts]


async def test_of_many_simultaneous_rotations_one_succeeds(database: Database) -> None:
    doors = [await Door(database.app_url).__aenter__() for _ in range(RACERS)]
    async with await open_pool(database.app_url, size=1) as pool:
        first = [command_of(PublishKey, new_key=SEALING.new_key(), revisions=frozenset({0})) for _ in doors]
        assert len(await race(doors, first)) == 1
        for _ in range(10):
            keys: list[NewKey] = [SEALING.new_key() for _ in doors]
            assert len(await race(doors, [command_of(PublishKey, new_key=key) for key in keys])) == 1
            stored = await stored_ring(pool)
            assert stored is not None
            waiting, active = stored.ring.first("published"), stored.ring.first("active")
            assert waiting is not None
            assert active is not None
            assert stored.encrypted.keys() == {waiting.kid, active.kid}
            activating = command_of(ActivateKey, kid=waiting.kid, emergency=True)
            removing = command_of(
                RemoveKey, kid=active.kid, reason="stolen", revisions=frozenset({stored.ring.revision})
            )
            assert len(await race(doors, [activating, removing] * (RACERS // 2))) <= 2
            after = await stored_ring(pool)
            assert after is not None
            assert [key.kid for key in after.ring.keys if key.status == "active"] == [waiting.kid]
            assert after.encrypted.keys() == {waiting.kid}, "what signs no more has no private part"
            assert isinstance(after.ring, Ring)
    for door in doors:
        await door.__aexit__()


async def test_of_many_simultaneous_introductions_and_activations_of_peppers_one_signs(database: Database) -> None:
    doors = [await Door(database.app_url).__aenter__() for _ in range(RACERS)]
    checks = {number: f"{number:032x}" for number in range(1, RACERS + 1)}
    introducing = [IntroducePeppers(account=NIL, id=PEPPER_SET, by=SYSTEM, checks=checks) for _ in doors]
    assert len(await race(doors, [*introducing])) == 1
    activating = [ActivatePepper(account=NIL, id=PEPPER_SET, by=SYSTEM, number=number) for number in checks]
    await race(doors, [*activating])
    async with await open_pool(database.app_url, size=1) as pool:
        pepper_set = await stored_pepper_set(pool)
    assert pepper_set is not None
    assert [pepper.status for pepper in pepper_set.peppers].count("signing") == 1
    assert len(pepper_set.peppers) == RACERS
    for door in doors:
        await door.__aexit__()
