"""The jobs, and one dramatiq actor for each. A wake-up call has no payload: the job reads from Postgres what is due."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from counterfoil.settings import Settings
from counterfoil_worker import bulk_revocations, deliver, forgetting, sweep
from counterfoil_worker.broker import QUEUE
from counterfoil_worker.clock import Call
from counterfoil_worker.followers import FOLLOWERS, follower_jobs
from counterfoil_worker.job import Job

JOBS: Final[tuple[Job, ...]] = (
    sweep.JOB, forgetting.JOB, bulk_revocations.JOB, *follower_jobs(FOLLOWERS), deliver.JOB,
)  # fmt: skip
"""All jobs; a new one is a line here."""

_MAX_AGE_MS: Final = 60_000
"""Dramatiq drops older calls, since a later call has done the work."""


def declare(
    broker: RedisBroker, jobs: Sequence[Job], settings: Settings, work: Callable[[str], Awaitable[object]]
) -> list[Call]:
    """Declare an actor for each job on this broker; return the wake-up calls. `work` runs a job by its name."""
    return [_call(broker, job, settings, work) for job in jobs]


def _call(broker: RedisBroker, job: Job, settings: Settings, work: Callable[[str], Awaitable[object]]) -> Call:
    @dramatiq.actor(broker=broker, actor_name=job.name, queue_name=QUEUE, max_retries=0, max_age=_MAX_AGE_MS)
    async def answer() -> None:
        await work(job.name)

    return Call(name=job.name, every_seconds=job.every_seconds(settings), send=answer.send, work=lambda: work(job.name))
