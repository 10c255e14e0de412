"""Peppers as a process was given them, held against those that the database knows."""

from __future__ import annotations

from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.secret import Peppers
from counterfoil.core.subjects.peppers import PEPPER_SET, IntroducePeppers, PepperSet
from counterfoil.door import Door
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.peppers import stored_pepper_set


async def settle(connection: Connection | Pool, door: Door, peppers: Peppers) -> int:
    """Introduce those that are new, learn which one signs; return the version at which they are now.

    Raises Misconfigured if a number stands for another key, or the one that signs is lacking.
    """
    checks = peppers.checks()
    pepper_set = await stored_pepper_set(connection)
    if pepper_set is None or pepper_set.lacks(checks):
        outcome = await door.execute(IntroducePeppers(account=NIL, id=PEPPER_SET, by=SYSTEM, checks=checks))
        pepper_set = outcome.state if isinstance(outcome.state, PepperSet) else None
    if pepper_set is None or pepper_set.signing is None:
        raise TypeError("one pepper signs")
    pepper_set.refuse_others(checks)
    peppers.follow(pepper_set.signing.number, pepper_set.retired)
    return pepper_set.version
