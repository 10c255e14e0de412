"""Work that is done again and again beside everything else, and never cut off in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

log = structlog.get_logger()


class Repeating:
    """Does its work every so many seconds from `start` until `stop`, which waits for what is under way.

    Never cancelled: a write that was cut off may have happened, and would be done twice. Work that fails is complained
    of under the name `complaint`, and tried again the next time.
    """

    def __init__(self, work: Callable[[], Awaitable[None]], *, seconds: float, complaint: str) -> None:
        self._work = work
        self._seconds = seconds
        self._complaint = complaint
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop; the first time is after the first pause."""
        self._task = asyncio.create_task(self._until_stopped())

    async def stop(self) -> None:
        """Have the work done once more, begun after this call, and return when it is; without a start, at once."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _until_stopped(self) -> None:
        stopping = False
        while not stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._seconds)
            stopping = self._stopping.is_set()
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - the next time tries again
                log.warning(self._complaint, error=type(error).__name__)
