"""Background work: calls that repeat and are never cancelled, and endless tasks that are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress

import structlog

log = structlog.get_logger()


@asynccontextmanager
async def in_background(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Run this work during the block, and cancel it at the end of the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Repeating:
    """Calls `work` at once and every `seconds`, from `start` until `stop`, which waits for a call that is under way.

    The work is never cancelled, because a cancelled write may have happened and would be repeated. A failure is logged
    as `failure_event`, and the next call tries again.
    """

    def __init__(self, work: Callable[[], Awaitable[object]], *, seconds: float, failure_event: str) -> None:
        self._work = work
        self._seconds = seconds
        self._failure_event = failure_event
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin on the running event loop."""
        self._task = asyncio.create_task(self._until_stopped())

    async def stop(self) -> None:
        """Call the work one last time, after this call, and return when it is done; return at once if not started."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _until_stopped(self) -> None:
        await self._call()
        stopping = False
        while not stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._seconds)
            stopping = self._stopping.is_set()
            await self._call()

    async def _call(self) -> None:
        try:
            await self._work()
        except Exception as error:  # noqa: BLE001 - the next call tries again
            log.warning(self._failure_event, error=type(error).__name__)
