"""What the actors work with: opened on dramatiq's event loop before the first message, closed after the last."""

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
from counterfoil.uses.follower import Follower
from counterfoil_worker.actors import declare
from counterfoil_worker.clock import Clock
from counterfoil_worker.followers import Followers
from counterfoil_worker.forgetting import Forgetter
from counterfoil_worker.jobs import Jobs
from counterfoil_worker.sweep import Sweeper

log = structlog.get_logger()

_POOL_SIZE: Final = 4
_PATIENCE_SECONDS: Final = 4.0
"""How long a database that does not answer may hold up our ending."""


class Engine(Middleware):
    """Pool, door, and all that works with them, of one process. They belong to the loop that they were opened on."""

    _pool: Pool
    _door: Door
    _sweeper: Sweeper
    _jobs: Jobs
    _forgetter: Forgetter
    _followers: Followers
    _ticking: asyncio.Task[None]

    def __init__(self, settings: Settings, broker: RedisBroker, followers: Sequence[Follower]) -> None:
        self._url = settings.database_url
        self._follow = followers
        self._calls = declare(
            broker,
            sweep=lambda: self._sweeper.sweep(),  # noqa: PLW0108 - it does not exist yet
            forget=lambda: self._forgetter.forget(),  # noqa: PLW0108 - likewise
            jobs=lambda: self._jobs.work(),  # noqa: PLW0108 - likewise
            follow=(lambda: self._followers.work()) if followers else None,  # noqa: PLW0108 - likewise
            sweep_interval_seconds=settings.sweep_interval_seconds,
        )

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        """Open everything. dramatiq would only log a failure here, then fail every message: end instead."""
        try:
            _loop_thread().run_coroutine(self._open())
        except Exception:  # nobody above us would end the process
            log.critical("worker_not_started", exc_info=True)
            os._exit(1)

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        """Make no more calls, and let a long sweep end early."""
        _loop_thread().run_coroutine(self._stop())

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        """Commit what is still waiting and close, before the loop goes."""
        _loop_thread().run_coroutine(self._close())

    async def _open(self) -> None:
        self._pool = await open_pool(self._url, size=_POOL_SIZE)
        self._door = await Door(self._url).__aenter__()
        self._sweeper = Sweeper(self._pool, self._door)
        self._jobs = Jobs(self._pool, self._door)
        self._forgetter = Forgetter(self._pool)
        self._followers = Followers(self._pool, self._follow)
        self._ticking = asyncio.create_task(Clock(self._url, self._calls).run())
        self._ticking.add_done_callback(_end_without_a_clock)

    async def _stop(self) -> None:
        self._sweeper.stop()
        self._jobs.stop()
        self._followers.stop()
        self._ticking.cancel()
        await asyncio.wait([self._ticking], timeout=_PATIENCE_SECONDS)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._door.__aexit__()
                await self._pool.close()
        except LOST as error:
            # Nothing is lost: what was not committed is still due.
            log.warning("closed_in_haste", error=type(error).__name__)
            self._pool.terminate()


def _end_without_a_clock(ticking: asyncio.Task[None]) -> None:
    """A worker whose clock broke would look alive and never sweep: better to end and be started again."""
    if not ticking.cancelled() and (error := ticking.exception()):
        log.critical("clock_broke", exc_info=error)
        os._exit(1)


def _loop_thread() -> EventLoopThread:
    thread = get_event_loop_thread()
    if thread is None:
        raise RuntimeError("dramatiq's AsyncIO middleware has to come before this one")
    return thread
