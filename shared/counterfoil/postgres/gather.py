"""Combines concurrent look-ups into one query; nothing is cached."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from itertools import chain
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

AT_ONCE: Final = 2
"""Simultaneous queries: one collects keys while another runs."""
LIMIT: Final = 500


class Gather(Generic[K, V]):
    """Combines single look-ups into calls of `fetch`, which returns the values of many keys.

    A look-up never joins a query that was sent before it, so its answer is at least as new as its request.
    """

    def __init__(self, fetch: Callable[[list[K]], Awaitable[dict[K, V]]]) -> None:
        self._fetch = fetch
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """Return the value of the key, or None. Raises what the query raised."""
        # Each caller has a future of its own: if one is cancelled, the others still get the answer. Shielding a shared
        # future costs 7 % of a whole introspection.
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        # This counts the tasks that are not done: a done task leaves the set a turn of the loop later, and a caller in
        # between would wait for a query that nobody sends.
        if sum(not task.done() for task in self._running) < AT_ONCE:
            self._start()
        return await future

    def _start(self) -> None:
        task = asyncio.create_task(self._run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self) -> None:
        while self._waiting:
            keys = list(self._waiting)[:LIMIT]
            await self._answer({key: self._waiting.pop(key) for key in keys})

    async def _answer(self, callers: dict[K, list[asyncio.Future[V | None]]]) -> None:
        try:
            found = await self._fetch(list(callers))
        except asyncio.CancelledError:
            for future in chain.from_iterable(callers.values()):
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - each caller gets it
            for future in chain.from_iterable(callers.values()):
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # marks it as retrieved, in case its caller was just cancelled
        else:
            for key, futures in callers.items():
                for future in futures:
                    if not future.done():
                        future.set_result(found.get(key))
