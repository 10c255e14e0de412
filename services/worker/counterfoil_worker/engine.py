"""Opens the jobs on dramatiq's event loop before the first message, and closes them after the last."""

import asyncio
import os
from collections.abc import Sequence
from typing import Final

import dramatiq
import structlog
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware

from counterfoil.door import Door
from counterfoil.postgres.connection import LOST, Pool, open_pool
from counterfoil.settings import Settings
from counterfoil_worker.actors import declare
from counterfoil_worker.clock import Clock
from counterfoil_worker.job import Job, Work

log = structlog.get_logger()

_POOL_SIZE: Final = 4
_PATIENCE_SECONDS: Final = 4.0
"""How long a database that does not answer may delay the end of the process."""


class Engine(Middleware):
    """The pool, the door and the jobs of one process; all belong to the event loop on which they are opened."""

    _pool: Pool
    _door: Door
    _ticking: asyncio.Task[None]

    def __init__(self, settings: Settings, broker: RedisBroker, jobs: Sequence[Job]) -> None:
        self._settings = settings
        self._url = settings.database_url
        self._settings = settings
        self._jobs = jobs
        self._works: dict[str, Work] = {}
        self._calls = declare(broker, jobs, settings, self._work)

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        """Open everything. End the process on failure: dramatiq would only log it, and then fail every message."""
        try:
            _loop_thread().run_coroutine(self._open())
        except Exception:  # nothing above would end the process
            log.critical("worker_not_started", exc_info=True)
            os._exit(1)

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        """Stop the clock, and tell the jobs that are under way to end early."""
        _loop_thread().run_coroutine(self._stop())

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        """Commit the waiting commands, and close door and pool before the event loop ends."""
        _loop_thread().run_coroutine(self._close())

    async def _open(self) -> None:
        self._pool = await open_pool(self._url, size=_POOL_SIZE)
        self._door = await Door(self._url).__aenter__()
        self._works = {job.name: job.open(self._pool, self._door, self._settings) for job in self._jobs}
        self._ticking = asyncio.create_task(Clock(self._url, self._calls).run())
        self._ticking.add_done_callback(_end_without_a_clock)

    async def _work(self, name: str) -> int:
        return await self._works[name].work()

    async def _stop(self) -> None:
        for each in self._works.values():
            each.stop()
        self._ticking.cancel()
        await asyncio.wait([self._ticking], timeout=_PATIENCE_SECONDS)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._door.__aexit__()
                await self._pool.close()
        except LOST as error:
            # No work is lost: work that was not committed is still due.
            log.warning("closed_in_haste", error=type(error).__name__)
            self._pool.terminate()


def _end_without_a_clock(ticking: asyncio.Task[None]) -> None:
    """End the process if its clock breaks, so that it is restarted: without a clock it would never sweep."""
    if not ticking.cancelled() and (error := ticking.exception()):
        log.critical("clock_broke", exc_info=error)
        os._exit(1)


def _loop_thread() -> EventLoopThread:
    thread = get_event_loop_thread()
    if thread is None:
        raise RuntimeError("dramatiq's AsyncIO middleware must come before this one")
    return thread
