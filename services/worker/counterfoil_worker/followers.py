"""Gives each follower of the log its next events, batch by batch, until it has handled all.

A worker locks the row of a follower during a batch, so that no other worker handles the same batch. The lock ends at
once if the worker dies.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from counterfoil.postgres.connection import LOST, Pool
from counterfoil.postgres.followers import begin, follower_states
from counterfoil.uses.follower import Follower, PositionOutOfOrder, follow
from counterfoil.uses.notifications import NOTIFICATIONS
from counterfoil_worker.job import Job, Shifts

log = structlog.get_logger()

FOLLOWERS: Final[tuple[Follower, ...]] = (NOTIFICATIONS,)
"""All followers; a new one is a line here."""

_AT_ONCE: Final = 2
"""Batches that one process works on at a time."""
_EVERY_SECONDS: Final = 1.0
_FIRST_REST_SECONDS: Final = 1.0
_LONGEST_REST_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Trouble:
    """Why a follower failed, and when it is tried again."""

    error: type[Exception]
    rest_seconds: float
    rests_until: float


class Followers(Shifts):
    """Calls all followers with the events that they have not handled; `work` returns how many events they handled."""

    name = "follow"
    seconds = 5.0

    def __init__(self, pool: Pool, followers: Sequence[Follower]) -> None:
        super().__init__()
        self._pool = pool
        self._followers = {follower.name: follower for follower in followers}
        if len(self._followers) < len(followers):
            raise ValueError("Two followers have the same name; their position would be one.")
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._troubles: dict[str, _Trouble] = {}

    async def _round(self, _ends: float) -> int:
        """Call every follower that is behind with its next batch, except those that failed a moment ago."""
        now = time.monotonic()
        behind = [
            follower
            for follower in await self._behind()
            if (trouble := self._troubles.get(follower.name)) is None or now >= trouble.rests_until
        ]
        return sum(await asyncio.gather(*(self._batch(follower) for follower in behind)))

    async def _behind(self) -> list[Follower]:
        """Return the followers that have not handled the whole log, and store the first position of new ones."""
        found = {each.name: each for each in await follower_states(self._pool)}
        for follower in self._followers.values():
            if follower.name not in found:
                await begin(self._pool, follower.name, at_head=follower.from_now)
                log.info("follower_begun", follower=follower.name, from_now=follower.from_now)
        return [
            follower
            for name, follower in self._followers.items()
            if name not in found or found[name].position != found[name].head
        ]

    async def _batch(self, follower: Follower) -> int:
        async with self._turns:
            if self._stopping:
                return 0
            try:
                handled = await follow(self._pool, follower)
            except Exception as error:  # noqa: BLE001 - one follower's failure stops no other
                self._note_trouble(follower, error)
                return 0
        if handled and follower.name in self._troubles:
            del self._troubles[follower.name]
            log.info("follower_goes_on", follower=follower.name)
        return handled

    def _note_trouble(self, follower: Follower, error: Exception) -> None:
        """Postpone the next try of a follower, longer after each failure; log each kind of failure once."""
        known = self._troubles.get(follower.name)
        seconds = min(2 * known.rest_seconds, _LONGEST_REST_SECONDS) if known else _FIRST_REST_SECONDS
        self._troubles[follower.name] = _Trouble(type(error), seconds, time.monotonic() + seconds)
        if known is not None and known.error is type(error):
            return
        if isinstance(error, PositionOutOfOrder):
            log.critical("follower_out_of_order", follower=follower.name, error=str(error))
        elif isinstance(error, LOST):
            log.warning("follower_postponed", follower=follower.name, error=type(error).__name__)
        else:
            log.error("follower_failed", follower=follower.name, exc_info=error)


def follower_jobs(followers: Sequence[Follower]) -> tuple[Job, ...]:
    """Return the job that calls these followers; nothing without followers."""
    if not followers:
        return ()
    return (
        Job(name="follow", every_seconds=lambda _: _EVERY_SECONDS, open=lambda pool, *_: Followers(pool, followers)),
    )
