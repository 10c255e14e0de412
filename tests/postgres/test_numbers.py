"""Numbers are counted for each account separately, and unused ones are used again."""

import asyncio
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from counterfoil.postgres.connection import Pool, open_pool
from counterfoil.postgres.numbers import Numbers
from counterfoil_dev.postgres import Database
from forked import Forked
from postgres.tenant import tenant_of

OURS, THEIRS = UUID(int=1), UUID(int=2)


async def test_two_processes_never_take_the_same_number_and_skip_none(database: Database, tmp_path: Path) -> None:
    files = [tmp_path / "one", tmp_path / "other"]
    takers = [Forked(take, database.app_url, file) for file in files]
    assert [await asyncio.to_thread(taker.wait, 60) for taker in takers] == [0, 0]
    taken = [word for file in files for word in file.read_text().split()]
    assert sorted(taken) == sorted(f"{account}:{number}" for account in (1, 2) for number in range(1, 501))


def take(url: str, file: Path) -> None:
    """Be a process that takes 500 numbers of two accounts, a few at a time, in either order, and writes them down."""
    file.write_text(" ".join(asyncio.run(_taken(url))))


async def _taken(url: str) -> list[str]:
    taken: list[str] = []
    async with await open_pool(url, size=2) as pool:
        numbers = Numbers(pool)
        for turn in range(50):
            accounts = [UUID(int=1 + (n + turn) % 2) for n in range(10)]
            some = await asyncio.gather(*(numbers.next(account) for account in accounts))
            taken += [f"{account.int}:{number}" for account, number in zip(accounts, some, strict=True)]
    return taken


async def test_each_account_counts_from_one_independently_of_others(pool: Pool) -> None:
    numbers = Numbers(pool)
    assert [await numbers.next(OURS) for _ in range(3)] == [1, 2, 3]
    assert await asyncio.gather(*(numbers.next(THEIRS) for _ in range(5))) == [1, 2, 3, 4, 5]
    assert await numbers.next(OURS) == 4


async def test_tokens_and_users_are_counted_separately(pool: Pool) -> None:
    assert (await Numbers(pool).next(OURS), await Numbers(pool, "user").next(OURS)) == (1, 1)


async def test_no_number_is_lost_at_a_restart(pool: Pool) -> None:
    assert [await Numbers(pool).next(OURS) for _ in range(4)] == [1, 2, 3, 4]


async def test_simultaneous_callers_get_one_number_each(pool: Pool) -> None:
    numbers = Numbers(pool)
    taken = await asyncio.gather(*(numbers.next(OURS) for _ in range(1_000)))
    assert sorted(taken) == list(range(1, 1_001))


async def test_returned_numbers_are_used_first_and_only_by_their_account(pool: Pool) -> None:
    numbers = Numbers(pool)
    for _ in range(5):
        await numbers.next(OURS)
    for unused in (4, 2):
        numbers.give_back(OURS, unused)
    assert await numbers.next(THEIRS) == 1
    assert [await numbers.next(OURS) for _ in range(3)] == [2, 4, 6]


async def test_the_number_of_kept_returns_is_limited(pool: Pool) -> None:
    numbers = Numbers(pool)
    for unused in range(1, 3_001):
        numbers.give_back(OURS, unused)
    assert [await numbers.next(OURS) for _ in range(1_001)][-2:] == [1_000, 1]


async def test_an_account_without_a_counter_continues_after_its_present_tokens(database: Database) -> None:
    async with tenant_of(database) as tenant:
        await tenant.issue(number=41)
        assert await Numbers(tenant.pool).next(tenant.account) == 42


async def test_a_cancelled_caller_does_not_affect_others(pool: Pool) -> None:
    numbers = Numbers(pool)
    asked = [asyncio.create_task(numbers.next(OURS)) for _ in range(20)]
    await asyncio.sleep(0)
    asked[0].cancel()
    taken = await asyncio.gather(*asked[1:])
    assert len(set(taken)) == 19


async def test_numbers_fit_into_the_31_bit_integers_of_vendors(database: Database, pool: Pool) -> None:
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("insert into number_counter values ($1, 'token', 2147483646)", OURS)
    await owner.close()
    numbers = Numbers(pool)
    assert await numbers.next(OURS) == 2**31 - 1
    with pytest.raises(asyncpg.CheckViolationError, match="numbers_stay_small"):
        await numbers.next(OURS)


async def test_taking_a_number_waits_for_no_disk_and_restores_the_connection(database: Database) -> None:
    async with await open_pool(database.app_url, size=1) as pool:
        await Numbers(pool).next(OURS)
        assert await pool.fetchval("show synchronous_commit") == "on"
