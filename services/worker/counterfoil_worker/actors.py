"""What a wake-up call sets going. Calls carry nothing: what is due is found in Postgres, once they arrive."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from counterfoil_worker.broker import QUEUE
from counterfoil_worker.clock import Call

FORGET_SECONDS: Final = 60.0
JOBS_SECONDS: Final = 1.0
FOLLOW_SECONDS: Final = 1.0
_MAX_AGE_MS: Final = 60_000
"""A call older than this is dropped: a later one has found its work."""

Work = Callable[[], Awaitable[object]]


def declare(
    broker: RedisBroker, *, sweep: Work, forget: Work, jobs: Work, follow: Work | None, sweep_interval_seconds: float
) -> Sequence[Call]:
    """Declare every actor on this broker and return the calls that wake them; `follow` is None if nobody follows."""
    works = [("sweep", sweep, sweep_interval_seconds), ("forget", forget, FORGET_SECONDS), ("jobs", jobs, JOBS_SECONDS)]
    if follow is not None:
        works.append(("follow", follow, FOLLOW_SECONDS))
    return [
        Call(name=name, every_seconds=seconds, send=_actor(broker, name, work).send, work=work)
        for name, work, seconds in works
    ]


def _actor(broker: RedisBroker, name: str, work: Work) -> "dramatiq.Actor[[], None]":
    @dramatiq.actor(broker=broker, actor_name=name, queue_name=QUEUE, max_retries=0, max_age=_MAX_AGE_MS)
    async def answer() -> None:
        await work()

    return answer
