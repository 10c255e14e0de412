"""Metrics that are counted in the database, and are the same in every process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from counterfoil.postgres.connection import LOST, Pool
from counterfoil.postgres.deliveries import DeliveryCounts, delivery_counts
from counterfoil.postgres.due import OpenAlerts, expiring, lag_seconds, open_alerts
from counterfoil.postgres.followers import FollowerState, follower_states
from counterfoil.postgres.grace_alerts import open_graces
from counterfoil.postgres.leader import is_led
from counterfoil.postgres.log_state import LogState, log_state

_TOKENS_SECONDS: Final = 60
"""So long the counts of tokens are kept: counting them reads every token."""


@dataclass(frozen=True, slots=True)
class _Work:
    """How far the processes behind the API have come."""

    sweep_lag_seconds: float
    clock_led: bool
    followers: list[FollowerState]
    log: LogState
    deliveries: DeliveryCounts


@dataclass(frozen=True, slots=True)
class _Tokens:
    """How many tokens expire when, and how many alerts are open."""

    expiring: dict[str, int]
    alerts: list[OpenAlerts]
    counted_at: float


class Census(Collector):
    """The metrics as of the last refresh; without a database there are none."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._work: _Work | None = None
        self._tokens: _Tokens | None = None

    async def refresh(self) -> None:
        """Query the database, the tokens at most once a minute."""
        pool = self._pool
        try:
            self._work = _Work(
                await lag_seconds(pool), await is_led(pool, "clock"), await follower_states(pool),
                await log_state(pool), await delivery_counts(pool),
            )  # fmt: skip
            if self._tokens is None or monotonic() - self._tokens.counted_at > _TOKENS_SECONDS:
                alerts = [*await open_alerts(pool), await open_graces(pool)]
                self._tokens = _Tokens(await expiring(pool), alerts, monotonic())
        except LOST:
            self._work, self._tokens = None, None

    def collect(self) -> Iterator[Metric]:
        """Iterate over the metrics."""
        if self._work is not None:
            yield from _of_work(self._work)
        if self._tokens is not None:
            yield from _of_tokens(self._tokens)


def _of_work(work: _Work) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "counterfoil_sweep_lag_seconds",
        "How long the most overdue token has waited for the sweep.",
        work.sweep_lag_seconds,
    )
    yield GaugeMetricFamily(
        "counterfoil_clock_led", "1 while a worker leads the clock, 0 while no worker runs.", work.clock_led
    )
    yield from _of_log(work.log)
    yield from _of_followers(work.followers)
    yield from _of_deliveries(work.deliveries)


def _of_tokens(tokens: _Tokens) -> Iterator[Metric]:
    active = GaugeMetricFamily(
        "counterfoil_tokens_expiring",
        "Active tokens by the shortest period within which they expire.",
        labels=("within",),
    )
    for within, count in tokens.expiring.items():
        active.add_metric((within,), count)
    alerts = GaugeMetricFamily(
        "counterfoil_alerts_open",
        "Announced expiries by the latest notice, and ends of graces; whether the token was used within seven days.",
        labels=("notice", "used"),
    )
    for each in tokens.alerts:
        alerts.add_metric((each.notice, "true" if each.used else "false"), each.count)
    yield from (active, alerts)


def _of_deliveries(counts: DeliveryCounts) -> Iterator[Metric]:
    yield GaugeMetricFamily("counterfoil_deliveries_pending", "Deliveries to webhooks to be sent.", counts.pending)
    yield GaugeMetricFamily("counterfoil_deliveries_dead", "Deliveries that were given up within a day.", counts.dead)
    yield GaugeMetricFamily(
        "counterfoil_deliveries_overdue_seconds",
        "How long the most overdue subscription has waited for a worker.",
        counts.overdue_seconds,
    )
    yield GaugeMetricFamily(
        "counterfoil_subscriptions_failing", "Subscriptions whose last attempt failed.", counts.failing
    )


def _of_followers(followers: Sequence[FollowerState]) -> Iterator[Metric]:
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
