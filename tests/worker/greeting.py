"""A job for tests, written as the guide says: one module, and one line in a worker's list of jobs."""

from typing import Final

import structlog

from counterfoil.door import Door
from counterfoil.postgres.connection import Pool
from counterfoil_worker.job import Job, Shifts

log = structlog.get_logger()

SCRIPT: Final = """
from counterfoil.settings import Settings
from counterfoil_worker.actors import JOBS
from counterfoil_worker.main import run
from worker import greeting

run(Settings.from_environment(command="worker"), (*JOBS, greeting.JOB))
"""
"""A worker process that runs this job beside all others."""


class Greeter(Shifts):
    """Greets each name of a table once. Row locks keep several workers from greeting a name twice."""

    name = "greet"
    seconds = 5.0

    def __init__(self, pool: Pool, _: Door) -> None:
        super().__init__()
        self._pool = pool

    async def _round(self, _: float) -> int:
        names = await self._pool.fetch(
            """
            update guest set greeted = greeted + 1
             where name in (select name from guest where greeted = 0 order by name limit 2 for update skip locked)
            returning name"""
        )
        for each in names:
            log.info("greeted", guest=each["name"])
        return len(names)


JOB: Final = Job(name="greet", every_seconds=lambda _: 0.1, open=lambda pool, door, _: Greeter(pool, door))
