"""Metrics for Prometheus, correct with several processes: requests, batches, refusals, queues."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

from counterfoil.door import Door
from counterfoil.door.batch import Batch
from counterfoil.postgres.connection import LOST, Pool
from counterfoil.postgres.due import expiring, lag_seconds
from counterfoil.postgres.followers import FollowerState, follower_states
from counterfoil.postgres.log_state import LogState, log_state
from counterfoil.uses.repeating import in_background

_CENSUS_SECONDS = 60
_PULSE_SECONDS = 1

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

REQUESTS = Histogram("counterfoil_request_seconds", "Answered requests.", ("method", "route", "status"), buckets=_FAST)
ATTEMPTS = Counter("counterfoil_attempts", "Failed attempts, by kind; see /v1/attempts.", ("kind",))
REFUSALS = Counter("counterfoil_refusals", "Requests that were refused, by problem type.", ("problem",))
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


def exposition(census: "Census", *, several_processes: bool) -> bytes:
    """Return all metrics in the text format of Prometheus: those of the processes and those of the database."""
    processes = REGISTRY
    if several_processes:
        processes = CollectorRegistry()
        MultiProcessCollector(processes)  # type: ignore[no-untyped-call] # untyped there
    whole = CollectorRegistry()
    whole.register(census)
    return generate_latest(processes) + generate_latest(whole)


class Census(Collector):
    """Metrics that are counted in the database, and are the same in every process."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lag_seconds: float | None = None
        self._log: LogState | None = None
        self._expiring: dict[str, int] = {}
        self._followers: list[FollowerState] = []
        self._counted_at = float("-inf")

    async def refresh(self) -> None:
        """Query the database, the expensive query at most once a minute; without a database no metric is known."""
        try:
            self._lag_seconds = await lag_seconds(self._pool)
            self._followers = await follower_states(self._pool)
            self._log = await log_state(self._pool)
            if monotonic() - self._counted_at > _CENSUS_SECONDS:
                self._expiring = await expiring(self._pool)
                self._counted_at = monotonic()
        except LOST:
            self._lag_seconds, self._log, self._expiring, self._followers = None, None, {}, []

    def collect(self) -> Iterator[Metric]:
        """Iterate over the metrics as of the last refresh."""
        if self._lag_seconds is not None:
            yield GaugeMetricFamily(
                "counterfoil_sweep_lag_seconds",
                "How long the most overdue token has waited for the sweep.",
                self._lag_seconds,
            )
        if self._log is not None:
            yield from _of_log(self._log)
        tokens = GaugeMetricFamily(
            "counterfoil_tokens_expiring",
            "Active tokens by the shortest period within which they expire.",
            labels=("within",),
        )
        for within, count in self._expiring.items():
            tokens.add_metric((within,), count)
        yield tokens
        yield from _follower_metrics(self._followers)


def _follower_metrics(followers: Sequence[FollowerState]) -> Iterator[Metric]:
    lag = GaugeMetricFamily(
        "counterfoil_follower_lag_events", "Events of the log that a follower has not handled.", labels=("follower",)
    )
    waiting = GaugeMetricFamily(
        "counterfoil_follower_waiting_seconds",
        "How long ago the next event for a follower happened; 0 if there is none.",
        labels=("follower",),
    )
    for each in followers:
        lag.add_metric((each.name,), each.lag)
        waiting.add_metric((each.name,), each.waiting_seconds or 0)
    yield from (lag, waiting)


def _of_log(log: LogState) -> Iterator[Metric]:
    """Iterate over the metrics of the log and its sealer."""
    yield GaugeMetricFamily("counterfoil_log_size", "Events in the log: the position of the last one.", log.size)
    yield CounterMetricFamily("counterfoil_seal_passes", "Passes that the sealer has recorded.", log.passes)
    yield GaugeMetricFamily(
        "counterfoil_seal_backlog", "Events that are not in the log yet; counted up to 10,000.", log.backlog
    )
    yield GaugeMetricFamily("counterfoil_seal_lag_seconds", "The age of the oldest of them.", log.lag_seconds)
    yield GaugeMetricFamily(
        "counterfoil_seal_silence_seconds", "How long ago the sealer last reported.", log.silent_seconds
    )
    yield GaugeMetricFamily(
        "counterfoil_seal_watermark_age_seconds",
        "How long the oldest writing transaction has been open, at least; about a second if there is none.",
        log.watermark_seconds,
    )


@lru_cache(maxsize=1024)
def _request(method: str, route: str, status: int) -> Histogram:
    # Callers choose methods: all that HTTP does not define are counted as one.
    known = method if method in _METHODS else "OTHER"
    return REQUESTS.labels(known, route, str(status))


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
