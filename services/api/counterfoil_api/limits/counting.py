"""Atomic steps on counters, each in two forms: for Valkey, which counts for all processes, and for one process alone.

A step takes one key and whole numbers, and returns whole numbers. Times are durations in milliseconds: Valkey and each
process measure them with their own clocks.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Final

from counterfoil_api.limits.expiring_map import ExpiringMap

MOST_CELLS: Final = 100_000
"""How many counters one process keeps; beyond that, the lowest of the oldest is removed."""
_COMPARED: Final = 32
"""How many of the oldest counters are compared to find the lowest."""


@dataclass(slots=True)
class Cell:
    """One counter: its value, until when the next turn waits, and when it expires."""

    value: int = 0
    until: int = 0
    ends: int = 0


class Cells:
    """The counters and notes of one process; they are separate, so that a flood of counters removes no note."""

    def __init__(self, most: int = MOST_CELLS) -> None:
        self._most = most
        self._cells: OrderedDict[str, Cell] = OrderedDict()
        self.notes: ExpiringMap[str, bool] = ExpiringMap(most)

    def __len__(self) -> int:
        return len(self._cells)

    def at(self, key: str, now: int) -> Cell:
        """Return the counter with this key, a new one if there is none or it has expired."""
        if (cell := self.seen(key, now)) is None:
            if len(self._cells) >= self._most:
                self._make_room(now)
            cell = self._cells[key] = Cell()
        return cell

    def seen(self, key: str, now: int) -> Cell | None:
        """Return the counter with this key, if there is one; this removes no other counter."""
        cell = self._cells.get(key)
        if cell is not None and cell.ends <= now:
            del self._cells[key]
            return None
        return cell

    def forget(self, key: str) -> None:
        """Reset this counter."""
        self._cells.pop(key, None)

    def _make_room(self, now: int) -> None:
        # Strangers may choose the keys. An expired counter goes first, then one without a wait, then the lowest: to
        # remove a count of five, an attacker needs five failures for each other key. The rest become the youngest.
        oldest = list(islice(self._cells.items(), _COMPARED))
        least, _ = min(oldest, key=lambda each: (each[1].ends > now, each[1].until > now, each[1].value))
        for key, _ in oldest:
            self._cells.move_to_end(key)
        del self._cells[least]


Local = Callable[[Cells, str, tuple[int, ...], int], list[int]]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One atomic step: in Lua with KEYS[1] and ARGV, and in Python at a given time."""

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
"""(most, window, cost) → (granted?, left, until the window ends): a quota; its window begins with the first use.

If the window was longer when it began, it ends when one of the present length would end."""

GIVE_BACK: Final = Step(
    """
if redis.call('exists', KEYS[1]) == 1 and redis.call('decrby', KEYS[1], ARGV[1]) < 1 then redis.call('del', KEYS[1]) end
return {}""",
    _give_back,
)
"""(cost) → (): returns what was taken and not used."""

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
"""(free, first, longest, most, last, kept) → (granted?, count, wait): an attempt, counted as failed in advance.

From the free-th on each doubles the wait for the next, up to `longest`; from the most-th on the wait is `last`.
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
"""() → (): returns a turn that was not used."""

CLEAR: Final = Step("redis.call('del', KEYS[1]) return {}", _clear)
"""() → (): resets the counter."""

NOTE: Final = Step("redis.call('set', KEYS[1], 1, 'px', ARGV[1]) return {}", _note)
"""(kept) → (): sets a note that expires."""

NOTED: Final = Step("return {redis.call('exists', KEYS[1])}", _noted)
"""() → (is the note set?)."""

_WEEKS: Final = "local week = math.floor(redis.call('time')[1] / 604800)\n"

MARK: Final = Step(
    _WEEKS
    + """
local key = KEYS[1] .. week
for _, bit in ipairs(ARGV) do redis.call('setbit', key, bit, 1) end
redis.call('expire', key, 1209600)
return {}""",
    lambda *_: [],  # one process remembers by itself what it has seen
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
"""(bits …) → (are all set?), in the filter of this week or of last week."""


def milliseconds() -> int:
    """Return the time by the monotonic clock of this process."""
    return int(monotonic() * 1000)
