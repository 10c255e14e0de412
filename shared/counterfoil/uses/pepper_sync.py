"""Compares the peppers of this process with those in the database, and keeps them up to date."""

from __future__ import annotations

from datetime import datetime
from time import monotonic

import structlog

from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.refusals import Misconfigured
from counterfoil.core.secret import Peppers
from counterfoil.core.subjects.peppers import PEPPER_SET, SYNC_SECONDS, IntroducePeppers, PepperSet
from counterfoil.door import Door
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.gather import Gather
from counterfoil.postgres.peppers import stored_pepper_set

log = structlog.get_logger()


async def introduce_peppers(connection: Connection | Pool, door: Door, peppers: Peppers) -> int:
    """Introduce new peppers to the database, learn which one signs, and return the version of the set.

    Raises Misconfigured if a number has another key in the database, or if this process lacks the pepper that signs.
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


class PepperSync:
    """Keeps the peppers of this process in step with the database."""

    def __init__(self, pool: Pool, door: Door, peppers: Peppers) -> None:
        self._pool = pool
        self._door = door
        self._peppers = peppers
        self._version: int | None = None
        self._as_of = 0.0
        self._reading: Gather[None, int] = Gather(self._read)
        self._failure: Misconfigured | None = None

    async def ensure_fresh(self) -> None:
        """Return once this process knows which peppers sign and verify, as of SYNC_SECONDS ago or later."""
        if self._version is None or monotonic() - self._as_of > SYNC_SECONDS:
            await self.refresh()

    async def refresh(self) -> None:
        """Return once this process knows that as of now; raise Misconfigured if it lacks one that others may use."""
        await self._reading.get(None)

    async def note_version(self, version: int | None, as_of: float, _: datetime) -> None:
        """Read the peppers again if they have a new version, which was read at `as_of` on the loop's clock."""
        if version is None or version != self._version:
            await self.refresh()
        else:
            self._as_of = max(self._as_of, as_of)

    def refuse_if_incomplete(self) -> None:
        """Raise Misconfigured if other processes may recognise secrets that this process cannot."""
        if self._failure is not None:
            raise self._failure

    async def _read(self, _: list[None]) -> dict[None, int]:
        as_of = monotonic()
        try:
            version = await introduce_peppers(self._pool, self._door, self._peppers)
        except Misconfigured as error:
            self._failure = Misconfigured(error.detail)
            self._version = None
            raise
        if self._version is not None and self._version != version:
            log.info("peppers_changed", signing=self._peppers.signing)
        self._version, self._as_of, self._failure = version, as_of, None
        return {None: version}
