"""Peppers as a process was given them, held against those that the database knows."""

from __future__ import annotations

from counterfoil.door import Door
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.peppers import stored_mill
from counterfoil.principal import NIL, SYSTEM
from counterfoil.secret import Peppers
from counterfoil.subjects.pepper import MILL, IntroducePeppers, Mill


async def settle(connection: Connection | Pool, door: Door, peppers: Peppers) -> int:
    """Introduce those that are new, learn which one signs; return the version at which they are now.

    Raises Misconfigured if a number stands for another key, or the one that signs is lacking.
    """
    checks = peppers.checks()
    mill = await stored_mill(connection)
    if mill is None or mill.lacks(checks):
        outcome = await door.execute(IntroducePeppers(account=NIL, id=MILL, by=SYSTEM, checks=checks))
        mill = outcome.state if isinstance(outcome.state, Mill) else None
    if mill is None or mill.signing is None:
        raise TypeError("one pepper signs")
    mill.refuse_others(checks)
    peppers.follow(mill.signing.number, mill.retired)
    return mill.version
