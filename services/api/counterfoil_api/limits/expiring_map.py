"""A bounded map whose entries expire, each after its own time.

`cachetools.TTLCache` has one lifetime for all entries and cannot say how long one has left; so this is our own.
"""

from time import monotonic
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ExpiringMap(Generic[K, V]):
    """Keeps values for a while. Strangers may choose the keys: beyond `most` entries the oldest is removed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: dict[K, tuple[V, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, key: K, value: V, seconds: float) -> None:
        """Keep a value for so long, and replace an older one."""
        self._entries.pop(key, None)
        if len(self._entries) >= self._most:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (value, monotonic() + seconds)

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= monotonic():
            del self._entries[key]
            return None
        return entry[0]

    def left(self, key: K) -> float:
        """Return in how many seconds the entry expires; 0 if there is none."""
        return 0.0 if self.get(key) is None else self._entries[key][1] - monotonic()

    def drop(self, key: K) -> None:
        """Remove an entry."""
        self._entries.pop(key, None)
