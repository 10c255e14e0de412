import asyncio
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec

from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.numbers import Numbers
from counterfoil_dev.postgres import Database

# What a process does that takes 500 numbers, a few at a time.
TAKER = """
import asyncio, sys
from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.numbers import Numbers

async def take():
    async with await open_pool(sys.argv[1], size=2) as pool:
        numbers = Numbers(pool)
        for _ in range(50):
            print(*await asyncio.gather(*(numbers.next() for _ in range(10))))

asyncio.run(take())
"""


async def test_two_processes_never_take_the_same_number(database: Database) -> None:
    takers = [
        await create_subprocess_exec(sys.executable, "-c", TAKER, database.app_url, stdout=PIPE) for _ in range(2)
    ]
    taken = [[int(word) for word in (await taker.communicate())[0].split()] for taker in takers]
    assert [len(numbers) for numbers in taken] == [500, 500]
    assert len({*taken[0], *taken[1]}) == 1_000
    assert min(taken[0] + taken[1]) == 1


async def test_a_lone_process_counts_from_one(database: Database) -> None:
    async with await open_pool(database.app_url, size=2) as pool:
        numbers = Numbers(pool)
        assert [await numbers.next() for _ in range(200)] == list(range(1, 201))


async def test_many_who_ask_at_once_get_a_number_each(database: Database) -> None:
    async with await open_pool(database.app_url, size=2) as pool:
        numbers = Numbers(pool)
        taken = await asyncio.gather(*(numbers.next() for _ in range(1_000)))
        assert len(set(taken)) == 1_000


async def test_who_goes_away_while_numbers_are_fetched_leaves_the_rest_unharmed(database: Database) -> None:
    async with await open_pool(database.app_url, size=2) as pool:
        numbers = Numbers(pool)
        asked = [asyncio.create_task(numbers.next()) for _ in range(20)]
        await asyncio.sleep(0)
        asked[0].cancel()
        taken = await asyncio.gather(*asked[1:])
        assert len(set(taken)) == 19
