"""One worker process; run more of them to do more, on as many machines as you like."""

import signal
import threading
from typing import Final

import redis
import structlog
from dramatiq import Worker

from counterfoil.logging import configure
from counterfoil.settings import Settings
from counterfoil_worker.broker import broker_of
from counterfoil_worker.engine import Engine

log = structlog.get_logger()

_THREADS: Final = 2
_IDLE_MS: Final = 500
"""The longest pause between two looks at the queue, and so how late a call may be heard."""
_PATIENCE_MS: Final = 8_000
"""How long work that is under way may take to finish once we were asked to stop."""


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, finish what is under way, return."""
    configure(settings.log_format, settings.log_level)
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    broker = broker_of(settings.redis_url)
    broker.add_middleware(Engine(settings, broker))
    worker = Worker(broker, worker_threads=_THREADS, worker_timeout=_IDLE_MS)
    worker.start()
    log.info("worker_started", sweep_interval_seconds=settings.sweep_interval_seconds)
    asked.wait()
    log.info("worker_stopping")
    _stop(worker)
    log.info("worker_stopped")


def _stop(worker: Worker) -> None:
    try:
        worker.stop(timeout=_PATIENCE_MS)
    except redis.RedisError as error:
        # Messages could not be handed back; their work will be found by others. dramatiq leaves here at once,
        # but our own connections still want to be closed, and the loop's thread would keep the process alive.
        log.warning("messages_not_handed_back", error=type(error).__name__)
        worker.broker.emit_after("worker_shutdown", worker)
