"""The one door: `await door.execute(command)` is the only way anything changes.

Commands that arrive while a commit is under way ride together in the next one. Nobody waits for a timer, a lone command
commits at once, and what was acknowledged is on disk. A refusal never harms its neighbours, a command that breaks a
batch is found by halving it, and a commit whose answer was lost is settled by asking the database what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Self

import asyncpg
import structlog

from counterfoil.core.refusals import Busy, OutcomeUnknown, Overloaded, Refusal
from counterfoil.core.unit_of_work import RETRY, Command, Outcome
from counterfoil.door.batch import Batch, QueuedCommand, Reply, lane_of
from counterfoil.door.connection import DoorConnection
from counterfoil.door.queue import Queue, refuse
from counterfoil.idempotency import IdempotencyClaim
from counterfoil.postgres import batch as sql
from counterfoil.postgres.schema_changes import OUTDATED

log = structlog.get_logger()

COMMITTERS: Final = 2
"""One batch fills while the other commits. One alone or three in turn are a tenth slower at 64 connections."""
QUEUE_LIMIT: Final = 10_000
SETTLING_SECONDS: Final = 30.0
"""How long a commit may stay in doubt before its callers are told so."""
ROUNDS: Final = 3
"""How often a command whose row is held rides on, before it waits for the row alone."""
_PASSING: Final = (
    asyncpg.UniqueViolationError,  # another process made the same thing first: decide again on what it made
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
    *OUTDATED,  # a migration has changed something under the statement
)
"""Errors that are worth another try: what caused them may be gone by then."""


def _unobserved(_batch: Batch, _waited: float, _took: float) -> None:
    pass


class Door:
    """Where the commands of one process meet the database: `async with Door(url) as door`.

    `observe` is told of every committed batch: how long its first job waited and how long it took, in seconds.
    """

    def __init__(self, url: str, *, observe: Callable[[Batch, float, float], None] = _unobserved) -> None:
        self._url = url
        self._observe = observe
        self._queue = Queue()
        self._lines: list[asyncio.Task[None]] = []
        self._watcher: asyncio.Task[None] | None = None
        self._closing = False

    async def __aenter__(self) -> Self:
        picks = [self._queue.pick] * COMMITTERS + [self._queue.pick_alone]
        self._lines = [asyncio.create_task(self._serve(pick)) for pick in picks]
        self._watcher = asyncio.create_task(self._queue.watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit what is waiting, then close."""
        self._closing = True
        self._queue.wake()
        await asyncio.gather(*self._lines)
        if self._watcher is not None:
            self._watcher.cancel()

    @property
    def queued(self) -> int:
        """How many commands are waiting for a batch."""
        return len(self._queue)

    async def execute(
        self, command: Command, claim: IdempotencyClaim | None = None, reply: Reply | None = None
    ) -> Outcome:
        """Carry out a command; returns only after its commit was acknowledged, and raises its Refusal.

        With a claim to an Idempotency-Key, `reply` makes the answer to keep; who repeats the key gets that answer.
        Cancelling the caller does not cancel the command.
        """
        if self._closing or len(self._queue) >= QUEUE_LIMIT:
            raise Overloaded
        loop = asyncio.get_running_loop()
        job = QueuedCommand(command, claim, reply, loop.create_future(), loop.time(), lane_of(command))
        self._queue.join(job)
        try:
            return await job.future
        except asyncio.CancelledError:
            if not job.future.cancelled():
                job.future.exception()  # looked at: nobody else will
            raise

    async def _serve(self, pick: Callable[[], Batch | None]) -> None:
        async with DoorConnection(self._url) as line:
            while not (self._closing and self._queue.over):
                if batch := pick():
                    await self._carry(line, batch)
                elif line.in_transaction:
                    await line.rest()
                else:
                    await self._queue.news()
        self._queue.wake()  # the other lines may be waiting to be told that all is done

    async def _carry(self, line: DoorConnection, batch: Batch) -> None:
        try:
            if await line.ready():
                await self._commit(line, batch)
            else:
                self._queue.ride_again(batch.jobs)
        except Exception as error:
            # A bug of ours. The line must outlive it, and nobody may be left waiting for an answer.
            log.exception("line_failed")
            refuse(batch.jobs, error)
        finally:
            self._queue.done(batch)

    async def _commit(self, line: DoorConnection, batch: Batch) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await batch.run(line.connection, self._queue if batch.patience else ())
        except Exception as error:  # noqa: BLE001 - whatever broke the batch, its jobs must each get an answer
            if await line.survives(error):
                await self._halve(line, batch, error)
            elif batch.phase == "open":
                log.warning("batch_lost", jobs=len(batch.jobs), error=type(error).__name__)
                self._queue.ride_again(batch.jobs)
            else:
                await self._settle(batch)
        else:
            self._answer(batch, certain=line.replicated)
            self._observe(batch, began - batch.jobs[0].since, loop.time() - began)

    async def _halve(self, line: DoorConnection, batch: Batch, error: Exception) -> None:
        jobs = batch.jobs
        if isinstance(error, asyncpg.LockNotAvailableError):
            self._let_each_wait(batch)
        elif len(jobs) > 1:
            middle = len(jobs) // 2
            for half in (jobs[:middle], jobs[middle:]):
                if await line.ready():
                    await self._commit(line, Batch(half, batch.patience))
                else:
                    self._queue.ride_again(half)
        elif isinstance(error, _PASSING) and jobs[0].rounds < ROUNDS:
            jobs[0].rounds += 1
            self._queue.ride_again(jobs)
        elif isinstance(error, Refusal):  # of a row that is only looked at as it is written
            refuse(jobs, error)
        else:
            log.error("command_failed", command=type(jobs[0].command).__name__, error=type(error).__name__)
            refuse(jobs, error)

    async def _settle(self, batch: Batch) -> None:
        """Learn what became of a COMMIT that was not answered, and act on it."""
        written = batch.fold.writes.facts if batch.fold else []
        if not written:
            self._queue.ride_again(batch.jobs)
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + SETTLING_SECONDS
        async with DoorConnection(self._url) as line:
            while loop.time() < until:
                if not await line.ready():
                    continue
                try:
                    fate = await sql.fate(line.connection, batch.xid, *written[0])
                except Exception as error:  # noqa: BLE001 - the question is asked again until the time is up
                    await line.survives(error)
                    continue
                log.warning("commit_in_doubt", xid=batch.xid, jobs=len(batch.jobs), fate=fate)
                if fate == "committed":
                    self._answer(batch, certain=line.replicated)
                    return
                if fate == "aborted":
                    self._queue.ride_again(batch.jobs)
                    return
                await asyncio.sleep(0.05)
        refuse(batch.jobs, OutcomeUnknown())

    def _answer(self, batch: Batch, *, certain: bool) -> None:
        for job, answer in batch.answers.items():
            if answer == RETRY:
                job.rounds += 1
                if job.rounds < ROUNDS or batch.patience == "":
                    self._queue.ride_again([job])
                else:
                    self._queue.stand_aside(job)
            elif isinstance(answer, Refusal):
                refuse([job], answer)
            elif not certain:  # nothing to do is no answer either: what was done may be what the replicas lack
                refuse([job], OutcomeUnknown())
            elif not job.future.done():
                job.future.set_result(answer)

    def _let_each_wait(self, batch: Batch) -> None:
        """Find out who waited for a lock: a batch that skips rows waits for keys that others are about to commit."""
        if batch.patience == "":
            refuse(batch.jobs, Busy())
            return
        aside = [job for job in batch.jobs if batch.may_wait_for_a_key(job)]
        for job in aside:
            self._queue.stand_aside(job)
        self._queue.ride_again([job for job in batch.jobs if job not in aside])
