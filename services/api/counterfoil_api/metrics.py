"""Metrics of the processes for Prometheus, correct with several of them: requests, batches, refusals, queues.

Those of the database are in `census`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

from counterfoil.door import Door
from counterfoil.door.batch import Batch
from counterfoil.postgres.connection import Pool
from counterfoil.uses.repeating import in_background

_PULSE_SECONDS = 1

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

REQUESTS = Histogram("counterfoil_request_seconds", "Answered requests.", ("method", "route", "status"), buckets=_FAST)
ATTEMPTS = Counter("counterfoil_attempts", "Failed attempts, by kind; see /v1/attempts.", ("kind",))
REFUSALS = Counter("counterfoil_refusals", "Requests that were refused, by problem type.", ("problem",))
REFUSALS.labels("internal-error")  # begins at 0, so that Prometheus sees the first one as an increase
BATCH_JOBS = Histogram("counterfoil_batch_jobs", "Commands that shared one transaction.", buckets=_SIZES)
BATCH_WAIT = Histogram("counterfoil_batch_wait_seconds", "How long the first of a batch waited.", buckets=_FAST)
BATCH_SECONDS = Histogram("counterfoil_batch_seconds", "One transaction, from begin to commit.", buckets=_FAST)
QUEUED = Gauge("counterfoil_queued_commands", "Commands waiting for a batch.", multiprocess_mode="livesum")
POOL_OPEN = Gauge("counterfoil_pool_connections", "Open reading connections.", multiprocess_mode="livesum")
POOL_IDLE = Gauge("counterfoil_pool_idle_connections", "Reading connections at rest.", multiprocess_mode="livesum")
LIMITS_SHARED = Gauge("counterfoil_limits_shared", "1 while limits are counted together.", multiprocess_mode="livemin")
STREAMS = Gauge("counterfoil_streams", "Open streams of the log.", multiprocess_mode="livesum")
STREAMS_ENDED = Counter("counterfoil_streams_ended", "Streams of the log that have ended, by reason.", ("reason",))

ISSUER_FETCHES = Counter(
    "counterfoil_issuer_fetches", "Requests for the keys of OIDC issuers, by outcome.", ("outcome",)
)


def observe_request(method: str, route: str, status: int, seconds: float, problem: str | None) -> None:
    """Count an answered request; routes are templates, so there are few."""
    _request(method, route, status).observe(seconds)
    if problem is not None:
        REFUSALS.labels(problem).inc()


def observe_attempt(kind: str) -> None:
    """Count a failed attempt; there are few kinds."""
    ATTEMPTS.labels(kind).inc()


def observe_batch(batch: Batch, waited: float, took: float) -> None:
    """Count a committed batch."""
    BATCH_JOBS.observe(len(batch.queued))
    BATCH_WAIT.observe(waited)
    BATCH_SECONDS.observe(took)


def gauge(door: Door, readers: Pool) -> None:
    """Set the gauges of this process."""
    QUEUED.set(door.queued)
    POOL_OPEN.set(readers.get_size())
    POOL_IDLE.set(readers.get_idle_size())


@asynccontextmanager
async def gauged(door: Door, readers: Pool) -> AsyncIterator[None]:
    """Keep the gauges of this process current: another process may add them up."""

    async def keep() -> None:
        while True:
            gauge(door, readers)
            await asyncio.sleep(_PULSE_SECONDS)

    async with in_background(keep()):
        yield


def exposition(census: Collector, *, several_processes: bool) -> bytes:
    """Return all metrics in the text format of Prometheus: those of the processes and those of the database."""
    processes = REGISTRY
    if several_processes:
        processes = CollectorRegistry()
        MultiProcessCollector(processes)  # type: ignore[no-untyped-call] # untyped there
    whole = CollectorRegistry()
    whole.register(census)
    return generate_latest(processes) + generate_latest(whole)


@lru_cache(maxsize=1024)
def _request(method: str, route: str, status: int) -> Histogram:
    # Callers choose methods: all that HTTP does not define are counted as one.
    known = method if method in _METHODS else "OTHER"
    return REQUESTS.labels(known, route, str(status))


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
