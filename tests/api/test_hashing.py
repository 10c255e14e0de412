"""The queue for password hashing: fair between networks, and limited in length."""

import asyncio
import threading

import pytest

from counterfoil.core.refusals import Overloaded
from counterfoil_api.auth.hashing import AT_ONCE, MOST, MOST_OF_ONE, HashingTurns, to_its_end


class Hall:
    """Records the order of turns; at first all turns are taken."""

    def __init__(self) -> None:
        self.turns = HashingTurns()
        self.served: list[str] = []
        self.free = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def _take(self, line: str, *, at_home: bool) -> None:
        async with self.turns.turn(line, at_home=at_home):
            await self.free.wait()
            self.served.append(line)

    async def come(self, line: str, *, at_home: bool = False) -> asyncio.Task[None]:
        task = asyncio.create_task(self._take(line, at_home=at_home))
        self.tasks.append(task)
        await asyncio.sleep(0)
        return task

    async def over(self) -> list[str]:
        """Give every waiter a turn, one after the other, and return their order."""
        self.free.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return self.served[AT_ONCE:]


@pytest.fixture
async def hall() -> Hall:
    full = Hall()
    for _ in range(AT_ONCE):
        await full.come("first")
    return full


async def test_a_newcomer_waits_for_one_turn_of_each_network(hall: Hall) -> None:
    for line in ("a", "a", "a", "b", "b", "c"):
        await hall.come(line)
    assert await hall.over() == ["a", "b", "c", "a", "b", "a"]


async def test_local_callers_get_every_second_turn(hall: Hall) -> None:
    for number in range(4):
        await hall.come(f"network {number}")
    for _ in range(2):
        await hall.come("home", at_home=True)
    assert await hall.over() == ["home", "network 0", "home", "network 1", "network 2", "network 3"]


async def test_a_queue_has_a_limited_length(hall: Hall) -> None:
    for _ in range(MOST_OF_ONE):
        await hall.come("a")
    refused = await hall.come("a")
    with pytest.raises(Overloaded):
        await refused
    assert await hall.over() == ["a"] * MOST_OF_ONE


async def test_a_full_queue_makes_room_in_its_longest_line(hall: Hall) -> None:
    for number in range(MOST):
        await hall.come("many" if number % 2 else "more")
    newcomer = await hall.come("newcomer")
    served = await hall.over()
    assert served.index("newcomer") == 2
    assert newcomer.exception() is None
    assert len(served) == MOST


async def test_a_queue_full_of_single_waiters_refuses_newcomers(hall: Hall) -> None:
    for number in range(MOST):
        await hall.come(f"network {number}")
    with pytest.raises(Overloaded):
        await (await hall.come("newcomer"))
    at_home = await hall.come("home", at_home=True)
    assert (await hall.over())[0] == "home"
    assert at_home.exception() is None


async def test_cancelled_waiters_leave_no_gap(hall: Hall) -> None:
    gone, stays = await hall.come("a"), await hall.come("b")
    (await hall.come("a")).cancel()
    gone.cancel()
    assert await hall.over() == ["b"]
    assert stays.exception() is None
    assert hall.turns._free == AT_ONCE
    async with hall.turns.turn("a", at_home=False), hall.turns.turn("b", at_home=False):
        last = await hall.come("c")
        assert not last.done()
    await last


async def test_a_cancelled_waiter_gets_no_turn(hall: Hall) -> None:
    gone, _ = await hall.come("a"), await hall.come("b")
    hall.free.set()
    gone.cancel()
    hall.turns._pass_on()
    assert await hall.over() == ["b"]


async def test_a_running_thread_keeps_its_turn_after_its_caller_left() -> None:
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        over.wait(60)

    task = asyncio.create_task(to_its_end(work))
    await asyncio.to_thread(begun.wait, 60)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    over.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_turn_given_to_a_leaving_waiter_is_passed_on(hall: Hall) -> None:
    gone = await hall.come("a")
    stays = await hall.come("b")
    hall.turns._pass_on()
    gone.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await hall.over() == ["b"]
    assert stays.exception() is None
