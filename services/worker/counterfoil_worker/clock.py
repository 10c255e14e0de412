"""Sends the wake-up calls at their intervals. One worker process is the leader, and only the leader sends them.

If a call is lost, the next one does its work; if a call arrives twice, the second finds nothing to do. While Redis is
away, the leader does the work itself, without the help of the other workers.
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
    """One kind of wake-up call: `send` sends it to Redis, `work` does the work in this process."""

    name: str
    every_seconds: float
    send: Callable[[], object]
    work: Callable[[], Awaitable[object]]


class Clock:
    """Sends the calls while this process leads."""

    def __init__(self, url: str, calls: Sequence[Call]) -> None:
        self._url = url
        self._calls = calls
        self._next = dict.fromkeys((call.name for call in calls), 0.0)
        self._beat_seconds = min(_BEAT_SECONDS, *(call.every_seconds for call in calls))
        self._leads = False
        self._redis_away = False
        self._working: set[asyncio.Task[object]] = set()

    async def run(self) -> None:
        """Run until cancelled; then wait for the work that was begun in this process."""
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
        # Concurrent, because a process that waits for a hanging Redis too long loses the lead.
        errors = await asyncio.gather(*(self._make(call) for call in due))
        if due:  # judge all calls together: while Redis goes away or returns, some succeed and some fail
            self._note_redis(next((error for error in errors if error is not None), None))

    async def _make(self, call: Call) -> str | None:
        """Send a call; if Redis does not take it, do the work here and return the name of the error."""
        try:
            await asyncio.to_thread(call.send)
        except redis.RedisError as error:
            self._begin(call)
            return type(error).__name__
        return None

    def _begin(self, call: Call) -> None:
        """Do the work in a task of its own, so that the clock can keep the lead meanwhile."""

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
