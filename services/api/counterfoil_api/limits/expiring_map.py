"""A small memory that forgets by itself: each entry after its time, the oldest when there are too many."""

from time import monotonic
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ExpiringMap(Generic[K, V]):
    """Remembers values for a while. Strangers may choose the keys: there are never more than `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: dict[K, tuple[V, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, key: K, value: V, seconds: float) -> None:
        """Remember this for so long; anew, if it is remembered already."""
        self._entries.pop(key, None)
        if len(self._entries) >= self._most:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (value, monotonic() + seconds)

    def get(self, key: K) -> V | None:
        """What is remembered, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= monotonic():
            del self._entries[key]
            return None
        return entry[0]

    def left(self, key: K) -> float:
        """For how many more seconds it is remembered; 0 if it is not."""
        return 0.0 if self.get(key) is None else self._entries[key][1] - monotonic()

    def drop(self, key: K) -> None:
        """Forget it now."""
        self._entries.pop(key, None)
