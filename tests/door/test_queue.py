"""The queue of the door: each job runs once, and closing forgets no job."""

import asyncio

from counterfoil.door.batch import QueuedCommand
from counterfoil.door.queue import Queue
from door.asking import create


def _job(lane: str) -> QueuedCommand:
    loop = asyncio.get_running_loop()
    return QueuedCommand(create(), claim=None, reply=None, future=loop.create_future(), since=loop.time(), lane=lane)


async def test_a_lane_is_alone_only_when_its_batch_is_over() -> None:
    waiting = Queue()
    jobs = [_job("a"), _job("a")]
    for job in jobs:
        waiting.join(job)
    batch = waiting.pick()
    assert batch
    waiting.set_aside(jobs[0])  # as the first half of a batch does while the second still runs
    assert waiting.pick_alone() is None
    waiting.done(batch)
    alone = waiting.pick_alone()
    assert alone
    assert alone.queued == jobs[:1]
    assert not waiting.over, "it may come back from there, and somebody has to be left to take it"
