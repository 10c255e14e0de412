"""Followers of the log: each is given its next events, batch by batch, for as long as there are any.

A follower's row is locked while it works on a batch: several workers never handle one batch twice, and when one dies
its row is free at once.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from counterfoil.postgres.connection import LOST, Pool
from counterfoil.postgres.followers import begin, followings
from counterfoil.uses.follower import Follower, PositionOutOfOrder, follow

log = structlog.get_logger()

FOLLOWERS: Final[tuple[Follower, ...]] = ()
"""All followers there are; a new one is a line here."""

_SHIFT_SECONDS: Final = 5.0
"""So long one call works; the next one goes on."""
_AT_ONCE: Final = 2
"""Batches that one process works on at a time."""
_FIRST_REST_SECONDS: Final = 1.0
_LONGEST_REST_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Trouble:
    """What keeps a follower from its next batch, and until when it is left alone."""

    error: type[Exception]
    rest_seconds: float
    rests_until: float


class Followers:
    """Has all followers handle what they have not handled. Who works when changes nothing but how soon that is."""

    def __init__(self, pool: Pool, followers: Sequence[Follower]) -> None:
        self._pool = pool
        self._followers = {follower.name: follower for follower in followers}
        if len(self._followers) < len(followers):
            raise ValueError("Two followers have the same name; their position would be one.")
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._troubles: dict[str, _Trouble] = {}
        self._working = False
        self._stopping = False
        self._postponed = False

    def stop(self) -> None:
        """End the present batches and begin no more; whoever comes next will find the rest."""
        self._stopping = True

    async def work(self) -> int:
        """Work until no follower is behind, or the shift is over; return how many events were handled.

        While this process is at it already, a second call leaves the work to the first. Nor is a lost database an
        error: what is not handled stays so until the next call.
        """
        if self._working:
            return 0
        self._working = True
        ends = time.monotonic() + _SHIFT_SECONDS
        handled = 0
        try:
            while not self._over(ends) and (some := await self._round()):
                handled += some
            self._postponed = False
        except LOST as error:
            if not self._postponed:  # once, and not with every call
                log.warning("followers_postponed", error=type(error).__name__)
            self._postponed = True
        finally:
            self._working = False
        return handled

    def _over(self, ends: float) -> bool:
        return self._stopping or time.monotonic() >= ends

    async def _round(self) -> int:
        """Give every follower that is behind its next batch, and none that rests."""
        now = time.monotonic()
        behind = [
            follower
            for follower in await self._behind()
            if (trouble := self._troubles.get(follower.name)) is None or now >= trouble.rests_until
        ]
        return sum(await asyncio.gather(*(self._batch(follower) for follower in behind)))

    async def _behind(self) -> list[Follower]:
        """Return the followers that are not where the log ends; those that never ran begin now."""
        found = {each.name: each for each in await followings(self._pool)}
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
            except Exception as error:  # noqa: BLE001 - it is the follower's own, and stops no other
                self._note_trouble(follower, error)
                return 0
        if handled and follower.name in self._troubles:
            del self._troubles[follower.name]
            log.info("follower_goes_on", follower=follower.name)
        return handled

    def _note_trouble(self, follower: Follower, error: Exception) -> None:
        """Leave a follower alone for a while, longer each time; say so once for each kind of trouble."""
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
