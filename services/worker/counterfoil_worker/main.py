"""Runs one worker process. Several processes, also on several machines, share the work."""

import asyncio
import signal
from collections.abc import Sequence
from typing import Final

import redis
import structlog
from dramatiq import Worker

from counterfoil.logging import configure
from counterfoil.postgres.connection import refuse_unfit
from counterfoil.settings import Settings
from counterfoil_worker.actors import JOBS
from counterfoil_worker.broker import broker_of
from counterfoil_worker.engine import Engine
from counterfoil_worker.job import Job

log = structlog.get_logger()

_ENDINGS: Final = (signal.SIGTERM, signal.SIGINT)
_THREADS: Final = 2
_IDLE_MS: Final = 500
"""The longest pause between two looks at the queue, and so the longest delay of a call."""
_PATIENCE_MS: Final = 8_000
"""How long work may continue after a signal to stop."""


def run(settings: Settings, jobs: Sequence[Job] = JOBS) -> None:
    """Work until SIGTERM or SIGINT, finish what is under way, return.

    Raises Misconfigured if the database is not set up to keep what it commits.
    """
    configure(settings.log_format, settings.log_level)
    asyncio.run(refuse_unfit(settings.database_url))
    # The signals are blocked in this thread and in all threads that it starts: they stay pending until `sigwait` below,
    # and a second signal is never delivered. With a handler that sets an event, this thread could deadlock.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    broker = broker_of(settings.redis_url)
    broker.add_middleware(Engine(settings, broker, jobs))
    worker = Worker(broker, worker_threads=_THREADS, worker_timeout=_IDLE_MS)
    worker.start()
    log.info("worker_started", sweep_interval_seconds=settings.sweep_interval_seconds)
    signal.sigwait(_ENDINGS)
    log.info("worker_stopping")
    _stop(worker)
    log.info("worker_stopped")


def _stop(worker: Worker) -> None:
    try:
        worker.stop(timeout=_PATIENCE_MS)
    except redis.RedisError as error:
        # Other workers do the work of the messages that were not handed back. dramatiq has not called the hooks that
        # close our connections, and the thread of the event loop would keep the process alive.
        log.warning("messages_not_handed_back", error=type(error).__name__)
        worker.broker.emit_after("worker_shutdown", worker)
