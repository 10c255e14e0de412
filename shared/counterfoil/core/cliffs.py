"""Cliffs, which are times in which many used tokens expire together, and a plan that spreads their expiries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec


class CliffRule(msgspec.Struct, frozen=True):
    """Used tokens are a cliff if at least `least` of them, and `percent` of all that are known, end in one window.

    A window may begin at any moment and is half-open: from its beginning on, before its end.
    """

    window: timedelta = timedelta(hours=24)
    least: int = 10
    percent: int = 20

    def limit(self, used: int) -> int:
        """Return how many of `used` tokens may end in one window and are no cliff."""
        return max(self.least, -(-used * self.percent // 100)) - 1


RULE: Final = CliffRule()


class Cliff(msgspec.Struct, frozen=True):
    """The fullest window of a run of overlapping windows that are all cliffs, and how many used tokens end in it."""

    starts_at: datetime
    used: int


class Movable(msgspec.Struct, frozen=True):
    """A token, its expiry, and the times between which a new expiry may lie, both inclusive."""

    id: UUID
    expires_at: datetime
    earliest: datetime
    latest: datetime


class Slots(msgspec.Struct, frozen=True):
    """Time in slots as long as a window; the one that begins at `start` has the number 0.

    Every window lies within two neighbouring slots. So if two neighbours have no more than the limit, no window has.
    """

    start: datetime
    width: timedelta

    def of(self, moment: datetime) -> int:
        """Return the number of the slot of a moment."""
        return (moment - self.start) // self.width

    def begin(self, slot: int) -> datetime:
        """Return when a slot begins."""
        return self.start + slot * self.width

    def crowded(self, cliffs: Iterable[Cliff]) -> list[int]:
        """Return the first of the two neighbouring slots that contain each cliff, the fullest first."""
        fullest = sorted(cliffs, key=lambda cliff: (-cliff.used, cliff.starts_at))
        return list(dict.fromkeys(self.of(cliff.starts_at) for cliff in fullest))


def spread(
    tokens: Sequence[Movable], used: dict[int, int], *, crowded: Iterable[int], slots: Slots, limit: int
) -> dict[UUID, datetime]:
    """Return the new expiries that leave no more than `limit` used tokens in each crowded slot and its next one.

    `used` counts the used tokens of each slot, `tokens` among them. A token moves by whole slots to the nearest one
    that has room, and keeps its time of day if a slot is a day. A slot has room below half of the limit, and as
    long as it and each neighbour stay within the limit. Tokens without a place keep their expiries.
    """
    plan = _Plan(slots, dict(used), limit)
    for first in crowded:
        inside = [token for token in tokens if slots.of(token.expires_at) in (first, first + 1)]
        for token in sorted(inside, key=lambda each: _order(each, used, slots)):
            if plan.pair(first) <= limit:
                break
            if token.id not in plan.moves:
                plan.move(token)
    return plan.moves


def _order(token: Movable, used: dict[int, int], slots: Slots) -> tuple[int, timedelta, UUID]:
    """Sort the tokens of the fuller slot first, and then those that have the most places."""
    return -used.get(slots.of(token.expires_at), 0), token.earliest - token.latest, token.id


class _Plan:
    """The moves until now, and how many used tokens each slot has after them."""

    def __init__(self, slots: Slots, used: dict[int, int], limit: int) -> None:
        self.moves: dict[UUID, datetime] = {}
        self._slots = slots
        self._used = used
        self._limit = limit
        self._most = max(1, limit // 2)

    def pair(self, first: int) -> int:
        """Return how many used tokens a slot and the next one have."""
        return self._used.get(first, 0) + self._used.get(first + 1, 0)

    def move(self, token: Movable) -> None:
        """Move a token to the nearest slot that has room for it, if there is one."""
        home = self._slots.of(token.expires_at)
        slot = next((slot for slot in self._nearest(token, home) if self._has_room(slot)), None)
        if slot is not None:
            self._used[home] -= 1
            self._used[slot] = self._used.get(slot, 0) + 1
            self.moves[token.id] = token.expires_at + (slot - home) * self._slots.width

    def _nearest(self, token: Movable, home: int) -> Iterator[int]:
        """Yield the slots where a token may end, the nearest first, and of two the later one."""
        width = self._slots.width
        first = home - (token.expires_at - token.earliest) // width
        last = home + (token.latest - token.expires_at) // width
        yield from sorted((slot for slot in range(first, last + 1) if slot != home), key=lambda s: (abs(s - home), -s))

    def _has_room(self, slot: int) -> bool:
        taken = self._used.get(slot, 0)
        neighbours = max(self._used.get(slot - 1, 0), self._used.get(slot + 1, 0))
        return taken < self._most and taken + 1 + neighbours <= self._limit
