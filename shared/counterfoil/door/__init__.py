"""The door executes all commands: `await door.execute(command)` is the only way to change anything.

Commands that arrive during a commit share the next transaction, a *batch*. No command waits for a timer: a single
command commits at once. When `execute` returns, the change is on disk. A refused command does not affect the others
of its batch. If a command breaks the batch, the door halves the batch until it has found that command. If the answer
of a commit was lost, the door asks the database whether the transaction was committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Self

import asyncpg
import structlog

from counterfoil.core.refusals import Busy, OutcomeUnknown, Overloaded, Refusal
from counterfoil.core.subjects.subject import Command
from counterfoil.core.unit_of_work import RETRY, Outcome, Request
from counterfoil.door.batch import Batch, QueuedCommand, Reply
from counterfoil.door.connection import DoorConnection
from counterfoil.door.queue import Queue, refuse
from counterfoil.idempotency import IdempotencyClaim
from counterfoil.postgres import batch as sql
from counterfoil.postgres.connection import LOST
from counterfoil.postgres.schema_changes import OUTDATED

log = structlog.get_logger()

COMMITTERS: Final = 2
"""Connections that commit batches: one batch fills while the other commits.

With 64 clients, one or three connections are a tenth slower.
"""
QUEUE_LIMIT: Final = 10_000
IN_DOUBT_SECONDS: Final = 30.0
"""How long the door asks about a lost commit before the callers get OutcomeUnknown."""
ROUNDS: Final = 3
"""How many batches a command with a locked row tries before it waits for the row on a connection of its own."""
_PASSING: Final = (
    asyncpg.UniqueViolationError,  # another process inserted the same key: decide again with its row
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
    *OUTDATED,  # a migration changed the schema
)
"""Errors after which the door tries a command again."""


def _queued(command: Request, claim: IdempotencyClaim | None = None, reply: Reply | None = None) -> QueuedCommand:
    loop = asyncio.get_running_loop()
    return QueuedCommand(command, claim, reply, loop.create_future(), loop.time(), command.lane)


class Door:
    """Executes the commands of one process: `async with Door(url) as door`.

    The door calls `observe` for every committed batch with two times in seconds: how long its first command waited,
    and how long the transaction took.
    """

    def __init__(self, url: str, *, observe: Callable[[Batch, float, float], None] = lambda *_: None) -> None:
        self._url = url
        self._observe = observe
        self._queue = Queue()
        self._committers: list[asyncio.Task[None]] = []
        self._watcher: asyncio.Task[None] | None = None
        self._closing = False
        self._rehearsing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        picks = [self._queue.pick] * COMMITTERS + [self._queue.pick_alone]
        self._committers = [asyncio.create_task(self._serve(pick)) for pick in picks]
        self._watcher = asyncio.create_task(self._queue.watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit the waiting commands, then close."""
        self._closing = True
        self._queue.wake()
        await asyncio.gather(*self._committers)
        if self._watcher is not None:
            self._watcher.cancel()

    @property
    def queued(self) -> int:
        """How many commands are waiting for a batch."""
        return len(self._queue)

    async def execute(
        self, command: Request, claim: IdempotencyClaim | None = None, reply: Reply | None = None
    ) -> Outcome:
        """Execute a command, return its outcome after the commit was acknowledged, or raise its Refusal.

        With a claim to an Idempotency-Key, the door stores what `reply` returns, and a later command with the same key
        gets that stored reply. If the caller is cancelled, the command is executed all the same.
        """
        if self._closing or len(self._queue) >= QUEUE_LIMIT:
            raise Overloaded
        queued = _queued(command, claim, reply)
        self._queue.join(queued)
        try:
            return await queued.future
        except asyncio.CancelledError:
            if not queued.future.cancelled():
                queued.future.exception()  # marks it as retrieved, or asyncio logs it
            raise

    async def rehearse(self, commands: Sequence[Command]) -> list[Outcome | Refusal]:
        """Return the outcomes that these commands would have now, in this order; nothing is changed.

        They are decided on locked rows like a batch, and then rolled back.
        """
        async with self._rehearsing, DoorConnection(self._url) as connection:
            for _ in range(ROUNDS):
                if await connection.ready():
                    batch = Batch([_queued(command) for command in commands], patience="")
                    try:
                        answers = await batch.rehearse(connection.current)
                    except (*LOST, *_PASSING, asyncpg.LockNotAvailableError) as error:
                        await connection.survives(error)
                        continue
                    return [Busy() if answer == RETRY else answer for answer in answers]
        raise Busy

    async def _serve(self, pick: Callable[[], Batch | None]) -> None:
        async with DoorConnection(self._url) as connection:
            while not (self._closing and self._queue.over):
                if batch := pick():
                    await self._carry(connection, batch)
                elif connection.in_transaction:
                    await connection.rest()
                else:
                    await self._queue.news()
        self._queue.wake()  # the other committers wait until the queue is empty

    async def _carry(self, connection: DoorConnection, batch: Batch) -> None:
        try:
            if await connection.ready():
                await self._commit(connection, batch)
            else:
                self._queue.requeue(batch.queued)
        except Exception as error:
            # This is a bug. The committer must continue, and every caller must get an answer.
            log.exception("committer_failed")
            refuse(batch.queued, error)
        finally:
            self._queue.done(batch)

    async def _commit(self, connection: DoorConnection, batch: Batch) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await batch.run(connection.current, self._queue if batch.patience else ())
        except Exception as error:  # noqa: BLE001 - after any error, every command of the batch gets an answer
            if await connection.survives(error):
                await self._halve(connection, batch, error)
            elif batch.phase == "open":
                log.warning("batch_lost", commands=len(batch.queued), error=type(error).__name__)
                self._queue.requeue(batch.queued)
            else:
                await self._resolve_commit(batch)
        else:
            self._answer(batch, certain=connection.replicated)
            self._observe(batch, began - batch.queued[0].since, loop.time() - began)

    async def _halve(self, connection: DoorConnection, batch: Batch, error: Exception) -> None:
        queued = batch.queued
        if isinstance(error, asyncpg.LockNotAvailableError):
            self._let_each_wait(batch)
        elif len(queued) > 1:
            middle = len(queued) // 2
            for half in (queued[:middle], queued[middle:]):
                if await connection.ready():
                    await self._commit(connection, Batch(half, batch.patience))
                else:
                    self._queue.requeue(half)
        elif isinstance(error, _PASSING) and queued[0].rounds < ROUNDS:
            queued[0].rounds += 1
            self._queue.requeue(queued)
        elif isinstance(error, Refusal):  # raised by a store while it wrote a side table
            refuse(queued, error)
        else:
            log.error("command_failed", command=type(queued[0].command).__name__, error=type(error).__name__)
            refuse(queued, error)

    async def _resolve_commit(self, batch: Batch) -> None:
        """Ask the database whether an unanswered COMMIT happened, and answer or repeat the commands."""
        written = batch.work.changes.facts if batch.work else []
        if not written:
            self._queue.requeue(batch.queued)
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + IN_DOUBT_SECONDS
        async with DoorConnection(self._url) as connection:
            while loop.time() < until:
                if not await connection.ready():
                    continue
                try:
                    fate = await sql.fate(connection.current, batch.xid, *written[0])
                except Exception as error:  # noqa: BLE001 - asked again until IN_DOUBT_SECONDS are over
                    await connection.survives(error)
                    continue
                log.warning("commit_in_doubt", xid=batch.xid, commands=len(batch.queued), fate=fate)
                if fate == "committed":
                    self._answer(batch, certain=connection.replicated)
                    return
                if fate == "aborted":
                    self._queue.requeue(batch.queued)
                    return
                await asyncio.sleep(0.05)
        refuse(batch.queued, OutcomeUnknown())

    def _answer(self, batch: Batch, *, certain: bool) -> None:
        for queued, answer in batch.answers.items():
            if answer == RETRY:
                queued.rounds += 1
                if queued.rounds < ROUNDS or batch.patience == "":
                    self._queue.requeue([queued])
                else:
                    self._queue.set_aside(queued)
            elif isinstance(answer, Refusal):
                refuse([queued], answer)
            elif not certain:  # even without events: replicas may lack the state that was read
                refuse([queued], OutcomeUnknown())
            elif not queued.future.done():
                queued.future.set_result(answer)

    def _let_each_wait(self, batch: Batch) -> None:
        """Let commands wait alone that may have blocked the batch.

        A batch skips locked rows. So if it waited for a lock, another transaction was inserting the same unique key.
        """
        if batch.patience == "":
            refuse(batch.queued, Busy())
            return
        aside = [queued for queued in batch.queued if batch.may_wait_for_a_key(queued)]
        for queued in aside:
            self._queue.set_aside(queued)
        self._queue.requeue([queued for queued in batch.queued if queued not in aside])
