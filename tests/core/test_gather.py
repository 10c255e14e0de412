import asyncio
import gc
from typing import Any

import pytest

from counterfoil.postgres.gather import LIMIT, Gather


class Query:
    """A fetch that records its keys and waits until the test releases it."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.open: list[asyncio.Future[None]] = []

    async def __call__(self, keys: list[int]) -> dict[int, str]:
        self.asked.append(keys)
        gate = asyncio.get_running_loop().create_future()
        self.open.append(gate)
        await gate
        return {key: f"{key} in query {len(self.asked)}" for key in keys if key >= 0}

    def let_go(self) -> None:
        for gate in self.open:
            if not gate.done():
                gate.set_result(None)

    def fail(self, number: int, error: BaseException) -> None:
        self.open[number].set_exception(error)


@pytest.fixture
def query() -> Query:
    return Query()


@pytest.fixture
def gather(query: Query) -> Gather[int, str]:
    return Gather(query)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def asking(gather: Gather[int, str], *keys: int) -> list[asyncio.Task[str | None]]:
    return [asyncio.create_task(gather.get(key)) for key in keys]


async def test_look_ups_that_arrive_together_are_one_query(query: Query, gather: Gather[int, str]) -> None:
    asked = asking(gather, *range(100))
    await turns()
    query.let_go()
    assert await asyncio.gather(*asked) == [f"{key} in query 1" for key in range(100)]
    assert query.asked == [list(range(100))]


async def test_look_ups_that_arrive_during_a_query_share_the_next_one(query: Query, gather: Gather[int, str]) -> None:
    early = asking(gather, 1)
    await turns()
    second = asking(gather, 2)
    await turns()
    later = asking(gather, *range(3, 100))
    await turns()
    assert query.asked == [[1], [2]]
    query.let_go()
    await turns(10)
    query.let_go()
    await asyncio.gather(*early, *second, *later)
    assert query.asked == [[1], [2], list(range(3, 100))]


async def test_a_look_up_never_joins_a_query_that_was_already_sent(query: Query, gather: Gather[int, str]) -> None:
    before = asking(gather, 7)
    await turns()
    after = asking(gather, 7)
    await turns()
    query.let_go()
    await asyncio.gather(*before, *after)
    assert query.asked == [[7], [7]]


async def test_a_key_is_queried_once_for_many_callers(query: Query, gather: Gather[int, str]) -> None:
    asked = asking(gather, *[7] * 50)
    await turns()
    query.let_go()
    assert set(await asyncio.gather(*asked)) == {"7 in query 1"}
    assert query.asked == [[7]]


async def test_a_missing_key_is_none(query: Query, gather: Gather[int, str]) -> None:
    asked = asking(gather, -1, 1)
    await turns()
    query.let_go()
    assert await asyncio.gather(*asked) == [None, "1 in query 1"]


async def test_a_query_has_a_limited_number_of_keys(query: Query, gather: Gather[int, str]) -> None:
    asked = asking(gather, *range(LIMIT + 1))
    for _ in range(3):
        await turns()
        query.let_go()
    await asyncio.gather(*asked)
    assert [len(keys) for keys in query.asked] == [LIMIT, 1]


async def test_a_failed_query_fails_all_its_callers_and_the_next_one_works(
    query: Query, gather: Gather[int, str]
) -> None:
    asked = asking(gather, *range(10))
    await turns()
    query.fail(0, ConnectionResetError("gone"))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionResetError] * 10
    again = asking(gather, 1)
    await turns()
    query.let_go()
    assert await again[0] == "1 in query 2"


async def test_a_cancelled_caller_does_not_affect_the_others(query: Query, gather: Gather[int, str]) -> None:
    asked = asking(gather, 1, 1, 2)
    await turns()
    asked[0].cancel()
    waiting = asking(gather, 3, 3)
    await turns()
    waiting[0].cancel()
    await turns()
    query.let_go()
    answers = [await task for task in (asked[1], asked[2], waiting[1])]
    assert answers == ["1 in query 2", "2 in query 2", "3 in query 2"]
    assert asked[0].cancelled()
    assert waiting[0].cancelled()


async def test_a_query_that_fails_after_its_callers_left_is_ignored(query: Query, gather: Gather[int, str]) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    asked = asking(gather, 1)
    await turns()
    asked[0].cancel()
    await turns()
    query.fail(0, ConnectionResetError("gone"))
    await turns()
    asked.clear()
    query.open.clear()
    gc.collect()
    asyncio.get_running_loop().set_exception_handler(None)
    assert complaints == []


async def test_a_caller_is_answered_if_it_arrives_in_the_turn_in_which_all_queries_end(
    query: Query, gather: Gather[int, str]
) -> None:
    asking(gather, 1)
    await turns()
    asking(gather, 2)
    await turns()
    assert query.asked == [[1], [2]]
    query.let_go()
    (late,) = asking(gather, 3)  # takes its first step right after the last steps of the two queries
    await turns()
    query.let_go()
    assert await asyncio.wait_for(late, timeout=1) == "3 in query 3"


async def test_callers_of_a_cancelled_query_do_not_wait_forever(gather: Gather[int, str]) -> None:
    asked = asking(gather, 1)
    await turns()
    for task in gather._running:
        task.cancel()
    await asyncio.wait(asked, timeout=1)
    assert asked[0].cancelled()
