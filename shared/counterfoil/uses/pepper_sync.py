"""The peppers of this process: held against those that the database knows, and following what becomes of them."""

from datetime import datetime
from time import monotonic

import structlog

from counterfoil.core.refusals import Misconfigured
from counterfoil.core.secret import Peppers
from counterfoil.core.subjects.peppers import HEARD_SECONDS
from counterfoil.door import Door
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.gather import Gather
from counterfoil.uses.pepper_introduction import settle

log = structlog.get_logger()


class PepperSync:
    """Holds the peppers of this process against those that the database knows."""

    def __init__(self, pool: Pool, door: Door, peppers: Peppers) -> None:
        self._pool = pool
        self._door = door
        self._peppers = peppers
        self._version: int | None = None
        self._as_of = 0.0
        self._reading: Gather[None, int] = Gather(self._read)
        self._complaint: Misconfigured | None = None

    async def settled(self) -> None:
        """Return once it is known, as of a moment ago, which pepper signs and which verify."""
        if self._version is None or monotonic() - self._as_of > HEARD_SECONDS:
            await self._reading.get(None)

    async def settled_now(self) -> None:
        """Return once that is known as of now; raise Misconfigured if others may know what this process does not."""
        await self._reading.get(None)

    async def heard(self, version: int | None, as_of: float, _: datetime) -> None:
        """Learn at which version they were at a moment of the loop's clock."""
        if version is None or version != self._version:
            await self._reading.get(None)
        else:
            self._as_of = max(self._as_of, as_of)

    def refuse_in_doubt(self) -> None:
        """Raise Misconfigured if what this process does not know may be known to others."""
        if self._complaint is not None:
            raise self._complaint

    async def _read(self, _: list[None]) -> dict[None, int]:
        as_of = monotonic()
        try:
            version = await settle(self._pool, self._door, self._peppers)
        except Misconfigured as complaint:
            self._complaint = Misconfigured(complaint.detail)
            self._version = None
            raise
        if self._version is not None and self._version != version:
            log.info("peppers_changed", signing=self._peppers.signing)
        self._version, self._as_of, self._complaint = version, as_of, None
        return {None: version}
