"""Look-ups that arrive together travel together: one query for many callers, and no cache."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

AT_ONCE: Final = 2
"""Queries under way at a time: one gathers while another is answered."""
LIMIT: Final = 500


class Gather(Generic[K, V]):
    """Gathers single look-ups into calls of `fetch`, which maps many keys to what was found.

    A look-up never joins a query that was already sent: its answer is at least as new as its question.
    """

    def __init__(self, fetch: Callable[[list[K]], Awaitable[dict[K, V]]]) -> None:
        self._fetch = fetch
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """Return what the key leads to, or None. Raises what the query raised."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            # The tasks are asked, not counted: one that has ended leaves the set only a turn of the loop later, and
            # who comes in between would wait for a query that nobody sends.
            if sum(not task.done() for task in self._running) < AT_ONCE:
                self._start()
        # Shielded: one caller going away must not take the answer from the others.
        return await asyncio.shield(future)

    def _start(self) -> None:
        task = asyncio.create_task(self._run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self) -> None:
        while self._waiting:
            batch = dict(list(self._waiting.items())[:LIMIT])
            for key in batch:
                del self._waiting[key]
            await self._answer(batch)

    async def _answer(self, batch: dict[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await self._fetch(list(batch))
        except asyncio.CancelledError:
            for future in batch.values():
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - each caller gets it
            for future in batch.values():
                future.set_exception(error)
                future.exception()  # looked at: where every caller has gone away, nobody else will
        else:
            for key, future in batch.items():
                future.set_result(found.get(key))
