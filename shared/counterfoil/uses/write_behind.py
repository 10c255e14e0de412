"""Gathers values in memory and writes them a little later, many in one statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import chain, islice
from typing import Final, Generic, Self, TypeVar

import structlog

from counterfoil.postgres.connection import LOST
from counterfoil.uses.repeating import Repeating

log = structlog.get_logger()

WRITE_SECONDS: Final = 1.0
_KEYS_PER_WRITE: Final = 500
"""A statement with thousands of keys would delay all others by 15 ms."""
_KEY_LIMIT: Final = 100_000

K = TypeVar("K")
V = TypeVar("V")


class WriteBehind(Generic[K, V]):
    """Writes what `add` gathers every `seconds` and at close: `async with WriteBehind(write, …) as waiting`.

    `merge` joins an older and a newer value of one key. While the database is away, values are kept and written later.
    Beyond `key_limit` keys the oldest are dropped; the log says how many, under `name`. A crash loses what was not
    written. A value may be written twice where the connection broke between a write and its answer.
    """

    def __init__(
        self,
        write: Callable[[dict[K, V]], Awaitable[object]],
        *,
        merge: Callable[[V, V], V],
        name: str,
        seconds: float = WRITE_SECONDS,
        key_limit: int = _KEY_LIMIT,
    ) -> None:
        self._write = write
        self._merge = merge
        self._name = name
        self._key_limit = key_limit
        self._values: dict[K, V] = {}
        self._dropped = 0
        self._repeating = Repeating(self.flush, seconds=seconds, failure_event=f"{name}_not_written")

    async def __aenter__(self) -> Self:
        self._repeating.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._repeating.stop()
        if self._values:
            log.error("never_written", what=self._name, keys=len(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def add(self, key: K, value: V) -> None:
        """Gather one value; it is written within `seconds`."""
        if key in self._values:
            value = self._merge(self._values[key], value)
        elif len(self._values) >= self._key_limit:
            del self._values[next(iter(self._values))]
            self._dropped += 1
        self._values[key] = value

    async def flush(self) -> None:
        """Write what was gathered; keep it for the next time if the database is away."""
        values, self._values = self._values, {}
        try:
            while values:
                part = dict(islice(values.items(), _KEYS_PER_WRITE))
                await self._write(part)
                for key in part:
                    del values[key]
        except LOST as error:
            log.warning("write_postponed", what=self._name, keys=len(values), error=type(error).__name__)
        finally:
            self._keep(values)

    def _keep(self, values: dict[K, V]) -> None:
        newer, self._values = self._values, {}
        for key, value in chain(values.items(), newer.items()):
            self.add(key, value)
        if self._dropped:
            log.warning("values_dropped", what=self._name, keys=self._dropped)
            self._dropped = 0
