"""Queues for hashing passwords, which is slow on purpose, so that no caller delays the others for long.

There are two queues, which are served alternately: one for users at a network where they have logged in before (see
`logins`), one for everybody else. In each queue every network has a line of its own, and the lines are served in turn.
So strangers who fill their lines delay known users by one hash, and other strangers by one hash for each network.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, ParamSpec, TypeVar

from counterfoil.core.refusals import Overloaded

AT_ONCE: Final = 2
"""The most hashes computed at a time; each takes a core and 64 MiB for a tenth of a second or two."""
MOST_OF_ONE: Final = 32
"""The most passwords that wait in one line; a later caller would wait for seconds, and is refused at once."""
MOST: Final = 64
"""The most passwords that wait in one queue; beyond that, the last one in the longest line is refused."""
_FULL: Final = "Too many passwords are being checked at the moment; try again."

P = ParamSpec("P")
T = TypeVar("T")
Place = asyncio.Future[None]


class _Queue:
    """Lines by key, which are served one after the other."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Place]] = OrderedDict()
        self._length = 0

    def join(self, key: str, place: Place) -> None:
        """Wait at the end of this line, or raise Overloaded."""
        length = len(self._lines.get(key, ()))
        if length >= MOST_OF_ONE:
            raise Overloaded(_FULL)
        if self._length >= MOST:
            self._make_room(length + 1)
        self._lines.setdefault(key, deque()).append(place)
        self._length += 1

    def leave(self, key: str, place: Place) -> None:
        """Leave the line without a turn."""
        if place in (line := self._lines.get(key, deque())):
            line.remove(place)
            self._taken(key)

    def next(self) -> Place | None:
        """Take the first place of the next line, and move that line behind all others."""
        while self._lines:
            key, line = next(iter(self._lines.items()))
            self._lines.move_to_end(key)
            place = line.popleft()
            self._taken(key)
            if not place.done():  # a cancelled caller may not have left yet
                return place
        return None

    def _make_room(self, length: int) -> None:
        key, longest = max(self._lines.items(), key=lambda each: len(each[1]))
        if len(longest) <= length:
            raise Overloaded(_FULL)
        place = longest.pop()
        self._taken(key)
        if not place.done():
            place.set_exception(Overloaded(_FULL))

    def _taken(self, key: str) -> None:
        self._length -= 1
        if not self._lines[key]:
            del self._lines[key]


async def to_its_end(call: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
    """Run a call in a thread and wait until it ends, even if the caller is cancelled.

    A thread cannot be stopped: if a cancelled caller passed its turn on at once, another hash would run beside it.
    """
    work = asyncio.ensure_future(asyncio.to_thread(call, *args, **more))
    try:
        return await asyncio.shield(work)
    finally:
        await asyncio.wait({work})


class HashingTurns:
    """Gives turns: `async with turns.turn(line, at_home=...)`."""

    def __init__(self) -> None:
        self._free = AT_ONCE
        self._at_home, self._strangers = _Queue(), _Queue()
        self._order = deque((self._at_home, self._strangers))

    @asynccontextmanager
    async def turn(self, line: str, *, at_home: bool) -> AsyncIterator[None]:
        """Wait for a turn in this line, or raise Overloaded: at once, or once others need the room more."""
        await self._wait(line, self._at_home if at_home else self._strangers)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, line: str, queue: _Queue) -> None:
        if self._free:
            self._free -= 1
            return
        place: Place = asyncio.get_running_loop().create_future()
        queue.join(line, place)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                queue.leave(line, place)
            elif place.exception() is None:  # the turn came at the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        for queue in tuple(self._order):
            if place := queue.next():
                place.set_result(None)
                self._order.remove(queue)
                self._order.append(queue)
                return
        self._free += 1
