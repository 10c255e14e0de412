"""What operators measure: requests, batches, refusals, queues; for Prometheus, and right with several processes."""

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

from counterfoil.batch import Batch

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

REQUESTS = Histogram("counterfoil_request_seconds", "Answered requests.", ("method", "route", "status"), buckets=_FAST)
REFUSALS = Counter("counterfoil_refusals", "Requests that were refused, by problem type.", ("problem",))
BATCH_JOBS = Histogram("counterfoil_batch_jobs", "Commands that shared one transaction.", buckets=_SIZES)
BATCH_WAIT = Histogram("counterfoil_batch_wait_seconds", "How long the first of a batch waited.", buckets=_FAST)
BATCH_SECONDS = Histogram("counterfoil_batch_seconds", "One transaction, from begin to commit.", buckets=_FAST)
QUEUED = Gauge("counterfoil_queued_commands", "Commands waiting for a batch.", multiprocess_mode="livesum")
POOL_OPEN = Gauge("counterfoil_pool_connections", "Open reading connections.", multiprocess_mode="livesum")
POOL_IDLE = Gauge("counterfoil_pool_idle_connections", "Reading connections at rest.", multiprocess_mode="livesum")


def observe_request(method: str, route: str, status: int, seconds: float, problem: str | None) -> None:
    """Count an answered request; routes are templates, so their number is small."""
    _request(method, route, status).observe(seconds)
    if problem is not None:
        REFUSALS.labels(problem).inc()


def observe_batch(batch: Batch, waited: float, took: float) -> None:
    """Count a committed batch."""
    BATCH_JOBS.observe(len(batch.jobs))
    BATCH_WAIT.observe(waited)
    BATCH_SECONDS.observe(took)


def exposition(ledger: CollectorRegistry, *, several_processes: bool) -> bytes:
    """All of it in Prometheus' text form, with what the database alone can say beside it."""
    processes = REGISTRY
    if several_processes:
        processes = CollectorRegistry()
        MultiProcessCollector(processes)  # type: ignore[no-untyped-call]
    return generate_latest(processes) + generate_latest(ledger)


@lru_cache(maxsize=1024)
def _request(method: str, route: str, status: int) -> Histogram:
    # Strangers choose methods: any that HTTP does not know is counted as one.
    known = method if method in _METHODS else "OTHER"
    return REQUESTS.labels(known, route, str(status))


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
