"""Makes the wake-up calls at their intervals, in one leader among all worker processes.

The next call replaces a lost one, and a doubled call finds nothing to do. While Redis is away, the leader does the work
itself: the loss of Redis costs the help of the other workers, and nothing else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import redis
import structlog

from counterfoil.postgres.leader import Lead

log = structlog.get_logger()

_BEAT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One kind of wake-up call: `send` makes it, `work` does its work here."""

    name: str
    every_seconds: float
    send: Callable[[], object]
    work: Callable[[], Awaitable[object]]


class Clock:
    """Makes the calls while this process leads."""

    def __init__(self, url: str, calls: Sequence[Call]) -> None:
        self._url = url
        self._calls = calls
        self._next = dict.fromkeys((call.name for call in calls), 0.0)
        self._beat_seconds = min(_BEAT_SECONDS, *(call.every_seconds for call in calls))
        self._leads = False
        self._redis_away = False
        self._working: set[asyncio.Task[object]] = set()

    async def run(self) -> None:
        """Run until cancelled; work that was begun here finishes first."""
        try:
            async with Lead(self._url, "clock") as lead:
                while True:
                    self._note_lead(await lead.held())
                    if self._leads:
                        await self._make_calls()
                    await asyncio.sleep(self._beat_seconds)
        finally:
            await asyncio.gather(*self._working, return_exceptions=True)

    async def _make_calls(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [call for call in self._calls if now >= self._next[call.name]]
        self._next |= {call.name: now + call.every_seconds for call in due}
        # Concurrently: a Redis that does not answer must not cost this process the lead as well.
        errors = await asyncio.gather(*(self._make(call) for call in due))
        if due:  # one judgement of all calls: while Redis goes away or comes back, some succeed and some fail
            self._note_redis(next((error for error in errors if error is not None), None))

    async def _make(self, call: Call) -> str | None:
        """Returns the name of the error if Redis did not take the call."""
        try:
            await asyncio.to_thread(call.send)
        except redis.RedisError as error:
            self._begin(call)
            return type(error).__name__
        return None

    def _begin(self, call: Call) -> None:
        """Do the work in a task of its own: meanwhile the clock keeps the lead."""

        async def work() -> None:
            try:
                await call.work()
            except Exception:  # nothing above this task would log it
                log.exception("work_failed", call=call.name)

        task: asyncio.Task[object] = asyncio.create_task(work())
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _note_lead(self, leads: bool) -> None:
        if leads != self._leads:
            log.info("lead_taken" if leads else "lead_lost")
            self._leads = leads

    def _note_redis(self, error: str | None) -> None:
        if error is not None and not self._redis_away:
            log.warning("redis_away", error=error, meanwhile="the leader does the work itself")
        elif error is None and self._redis_away:
            log.info("redis_back")
        self._redis_away = error is not None
