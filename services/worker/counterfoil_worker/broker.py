"""Sends wake-up calls with dramatiq over Redis, tuned for messages that may be lost, doubled or late."""

import logging
import time
from typing import Final

import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AgeLimit, AsyncIO, Retries, TimeLimit
from redis.backoff import NoBackoff
from redis.retry import Retry

QUEUE: Final = "counterfoil"
_CONNECT_SECONDS: Final = 2
_ANSWER_SECONDS: Final = 2
_HEARTBEAT_MS: Final = 15_000
"""A worker without a heartbeat for this long counts as dead, and its messages are delivered again."""
_MAINTENANCE_PER_MILLION: Final = 100_000
_DEAD_MS: Final = 3_600_000
"""Calls that no worker took are kept for an hour, so that operators can see them."""
_LONGEST_MS: Final = 600_000


def broker_of(redis_url: str) -> RedisBroker:
    """Return a broker that is not yet connected to Redis."""
    client = redis.Redis.from_url(
        redis_url,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 1),  # one retry for a stale connection; the next call is the real retry
    )
    for consumer in (QUEUE, f"{QUEUE}.DQ"):
        logging.getLogger(f"dramatiq.worker.ConsumerThread({consumer})").addFilter(OncePerMinute())
    # Not dramatiq's defaults: the Prometheus one opens a port, and no message has callbacks or a pipeline.
    middleware = [AgeLimit(), TimeLimit(time_limit=_LONGEST_MS), Retries(max_retries=0), AsyncIO()]
    return RedisBroker(  # type: ignore[no-untyped-call] # dramatiq leaves it untyped
        client=client,
        middleware=middleware,
        namespace="counterfoil",
        heartbeat_timeout=_HEARTBEAT_MS,
        maintenance_chance=_MAINTENANCE_PER_MILLION,
        dead_message_ttl=_DEAD_MS,
    )


class OncePerMinute(logging.Filter):
    """Passes one warning a minute, because a consumer repeats the same warning every three seconds."""

    _again_at: float = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether this record is logged."""
        if record.levelno < logging.WARNING:
            return record.levelno < logging.INFO  # "restarting consumer" says nothing new
        if time.monotonic() < self._again_at:
            return False
        self._again_at = time.monotonic() + 60
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, redis.RedisError):  # a Redis that hangs needs no traceback
            record.msg, record.args, record.exc_info = f"{record.msg} {error}", (), None
        return True
