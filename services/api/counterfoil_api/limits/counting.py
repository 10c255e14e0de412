"""Atomic steps on counters: each as Valkey runs it for all processes, and as one process does it for itself alone.

A step works on one key and whole numbers, and answers with whole numbers. Times are milliseconds, and spans only: each
side counts them by a clock of its own.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Final

from counterfoil_api.limits.expiring_map import ExpiringMap

MOST_CELLS: Final = 100_000
"""What one process counts on its own; beyond that, the least of the oldest counts goes."""
_COMPARED: Final = 32
"""So many of the oldest are compared for it, however many there are."""


@dataclass(slots=True)
class Cell:
    """One counter: its value, a moment that belongs to it, and when it is forgotten."""

    value: int = 0
    until: int = 0
    ends: int = 0


class Cells:
    """The counters of one process, and what it noted: apart, so that no flood of counts washes out a note."""

    def __init__(self, most: int = MOST_CELLS) -> None:
        self._most = most
        self._cells: OrderedDict[str, Cell] = OrderedDict()
        self.notes: ExpiringMap[str, bool] = ExpiringMap(most)

    def __len__(self) -> int:
        return len(self._cells)

    def at(self, key: str, now: int) -> Cell:
        """The counter with this key, a new one if there was none or its time was over."""
        if (cell := self.seen(key, now)) is None:
            if len(self._cells) >= self._most:
                self._make_room(now)
            cell = self._cells[key] = Cell()
        return cell

    def seen(self, key: str, now: int) -> Cell | None:
        """The counter with this key, if there is one: to look at it takes no room from another."""
        cell = self._cells.get(key)
        if cell is not None and cell.ends <= now:
            del self._cells[key]
            return None
        return cell

    def forget(self, key: str) -> None:
        """Begin this counter anew."""
        self._cells.pop(key, None)

    def _make_room(self, now: int) -> None:
        # Strangers may choose the keys. One that is over goes first, then one for which nobody waits, then the lowest:
        # to wash out five failures takes five failures with everybody else. Those that stay are the youngest again.
        oldest = list(islice(self._cells.items(), _COMPARED))
        least, _ = min(oldest, key=lambda each: (each[1].ends > now, each[1].until > now, each[1].value))
        for key, _ in oldest:
            self._cells.move_to_end(key)
        del self._cells[least]


Local = Callable[[Cells, str, tuple[int, ...], int], list[int]]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What is done at once: in Lua with KEYS[1] and ARGV, and here at a moment."""

    lua: str
    here: Local


def _take(cells: Cells, key: str, args: tuple[int, ...], now: int) -> list[int]:
    most, window, cost = args
    seen = cells.seen(key, now) or Cell()
    seen.ends = min(seen.ends, now + window)
    if seen.value + cost > most:
        return [0, most - seen.value, max(seen.ends - now, 0)]
    cell = cells.at(key, now)
    if not cell.value:
        cell.ends = now + window
    cell.value += cost
    return [1, most - cell.value, cell.ends - now]


def _give_back(cells: Cells, key: str, args: tuple[int, ...], now: int) -> list[int]:
    if cell := cells.seen(key, now):
        cell.value -= args[0]
        if cell.value <= 0:
            cells.forget(key)
    return []


def _turn(cells: Cells, key: str, args: tuple[int, ...], now: int) -> list[int]:
    free, first, longest, most, last, kept = args
    cell = cells.at(key, now)
    if cell.until > now:
        return [0, cell.value, cell.until - now]
    cell.value += 1
    wait = min(longest, first * 2 ** min(cell.value - free, 40)) if cell.value >= free else 0
    cell.until, cell.ends = now + (last if cell.value >= most else wait), now + kept
    return [1, cell.value, cell.until - now]


def _return(cells: Cells, key: str, _: tuple[int, ...], now: int) -> list[int]:
    if cell := cells.seen(key, now):
        cell.value, cell.until = cell.value - 1, 0
        if cell.value <= 0:
            cells.forget(key)
    return []


def _clear(cells: Cells, key: str, _: tuple[int, ...], __: int) -> list[int]:
    cells.forget(key)
    return []


def _note(cells: Cells, key: str, args: tuple[int, ...], _: int) -> list[int]:
    cells.notes.keep(key, value=True, seconds=args[0] / 1000)
    return []


def _noted(cells: Cells, key: str, _: tuple[int, ...], __: int) -> list[int]:
    return [int(cells.notes.get(key) is not None)]


TAKE: Final = Step(
    """
local most, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local count, left = tonumber(redis.call('get', KEYS[1]) or 0), redis.call('pttl', KEYS[1])
if left > window then redis.call('pexpire', KEYS[1], ARGV[2]); left = window end
if count + cost > most then return {0, most - count, math.max(left, 0)} end
count = redis.call('incrby', KEYS[1], cost)
if left < 0 then redis.call('pexpire', KEYS[1], ARGV[2]); left = window end
return {1, most - count, left}""",
    _take,
)
"""(most, window, cost) → (granted?, left, until all is there again): so many in a window that begins with the first.

One that was longer when it began is over when the present one would be."""

GIVE_BACK: Final = Step(
    """
if redis.call('exists', KEYS[1]) == 1 and redis.call('decrby', KEYS[1], ARGV[1]) < 1 then redis.call('del', KEYS[1]) end
return {}""",
    _give_back,
)
"""(cost) → (): what was taken for nothing."""

_NOW: Final = "local time = redis.call('time')\nlocal now = time[1] * 1000 + math.floor(time[2] / 1000)\n"

TURN: Final = Step(
    _NOW
    + """
local free, first, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local most, last, kept = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local left = tonumber(redis.call('hget', KEYS[1], 'until') or 0) - now
if left > 0 then return {0, tonumber(redis.call('hget', KEYS[1], 'count')), left} end
local count, wait = redis.call('hincrby', KEYS[1], 'count', 1), 0
if count >= free then wait = math.min(longest, first * 2 ^ math.min(count - free, 40)) end
if count >= most then wait = last end
redis.call('hset', KEYS[1], 'until', string.format('%.0f', now + wait))
redis.call('pexpire', KEYS[1], kept)
return {1, count, wait}""",
    _turn,
)
"""(free, first, longest, most, last, kept) → (granted?, how many, wait): a try that counts as failed until it is not.

From the free-th on each doubles the wait for the next, up to the longest; from the most-th on the wait is the last one.
"""

RETURN: Final = Step(
    """
if redis.call('exists', KEYS[1]) == 1 then
  if redis.call('hincrby', KEYS[1], 'count', -1) < 1 then redis.call('del', KEYS[1])
  else redis.call('hset', KEYS[1], 'until', 0) end
end
return {}""",
    _return,
)
"""() → (): a turn that came to nothing."""

CLEAR: Final = Step("redis.call('del', KEYS[1]) return {}", _clear)
"""() → (): it begins anew."""

NOTE: Final = Step("redis.call('set', KEYS[1], 1, 'px', ARGV[1]) return {}", _note)
"""(kept) → (): something is so, for a while."""

NOTED: Final = Step("return {redis.call('exists', KEYS[1])}", _noted)
"""() → (is it so?)."""

_WEEKS: Final = "local week = math.floor(redis.call('time')[1] / 604800)\n"

MARK: Final = Step(
    _WEEKS
    + """
local key = KEYS[1] .. week
for _, bit in ipairs(ARGV) do redis.call('setbit', key, bit, 1) end
redis.call('expire', key, 1209600)
return {}""",
    lambda *_: [],  # one process remembers in other ways what it has met itself
)
"""(bits …) → (): set in the filter of this week."""

MARKED: Final = Step(
    _WEEKS
    + """
for back = 0, 1 do
  local all = 1
  for _, bit in ipairs(ARGV) do all = all * redis.call('getbit', KEYS[1] .. (week - back), bit) end
  if all == 1 then return {1} end
end
return {0}""",
    lambda *_: [0],
)
"""(bits …) → (are all set?), in the filter of this week or in that of the last."""


def milliseconds() -> int:
    """By our own steady clock."""
    return int(monotonic() * 1000)
