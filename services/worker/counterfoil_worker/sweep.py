"""The sweep: finds in Postgres what time has brought, and says it through the door."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog
from msgspec.structs import replace

from counterfoil.core.duration import spelt
from counterfoil.core.events import Expiring, Fact
from counterfoil.core.principal import SYSTEM
from counterfoil.core.refusals import Unavailable
from counterfoil.core.subjects.token.commands import Sweep
from counterfoil.core.unit_of_work import Outcome
from counterfoil.door import Door
from counterfoil.postgres.connection import LOST, Pool
from counterfoil.postgres.due import Due, tokens_due

log = structlog.get_logger()

PAGE: Final = 500
REST_SECONDS: Final = 300.0
"""A token that cannot be swept is left alone for so long, so that it costs and complains little."""


class Sweeper:
    """Sweeps one page after the other. Who sweeps when, and how often at once, changes nothing that is said."""

    def __init__(self, pool: Pool, door: Door) -> None:
        self._pool = pool
        self._door = door
        self._resting: dict[UUID, float] = {}
        self._sweeping = False
        self._stopping = False

    def stop(self) -> None:
        """End a sweep that is under way after its present page; the next sweep will find the rest."""
        self._stopping = True

    async def sweep(self) -> int:
        """Say all that is due; return how much was said.

        While this process is sweeping already, a second call leaves the work to the first. Nor is a lost database an
        error here: what is due stays due.
        """
        if self._sweeping:
            return 0
        self._sweeping = True
        try:
            return await self._sweep()
        except LOST as error:
            log.warning("sweep_postponed", error=type(error).__name__)
            return 0
        finally:
            self._sweeping = False

    async def _sweep(self) -> int:
        began = time.monotonic()
        self._resting = {token_id: until for token_id, until in self._resting.items() if until > began}
        said: Counter[str] = Counter()
        last = None
        while not self._stopping:
            page = await tokens_due(self._pool, after=last, limit=PAGE)
            said.update(await self._say([due for due in page if due.token_id not in self._resting]))
            if len(page) < PAGE:
                break
            last = page[-1]
        if said:
            log.info("swept", events=said.total(), **said, seconds=round(time.monotonic() - began, 3))
        return said.total()

    async def _say(self, page: Sequence[Due]) -> list[str]:
        # All at once, so that they share transactions; one answer each, so that none can stop the others.
        answers = await asyncio.gather(*(self._door.execute(_command(due)) for due in page), return_exceptions=True)
        for due, answer in zip(page, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, Unavailable):
                self._resting[due.token_id] = time.monotonic() + REST_SECONDS
                log.error("token_not_swept", account=due.account, token_id=due.token_id, error=type(answer).__name__)
        if later := [type(answer).__name__ for answer in answers if isinstance(answer, Unavailable)]:
            log.info("tokens_left_for_later", tokens=len(later), refusals=sorted(set(later)))
        return [_kind(fact) for answer in answers if isinstance(answer, Outcome) for fact in answer.facts]


def _kind(fact: Fact) -> str:
    """`expired`, or by which notice it is expiring: `expiring_7d`."""
    return f"expiring_{spelt(fact.event.threshold)}" if isinstance(fact.event, Expiring) else fact.type


def _command(due: Due) -> Sweep:
    return Sweep(account=due.account, token_id=due.token_id, by=replace(SYSTEM, account=due.account))
