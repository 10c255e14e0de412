"""The sweep announces graces that end while the previous secret is in use: once each, by any sweeper."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from counterfoil.core.secret import mint
from counterfoil.core.subjects.token.commands import ConfirmRotation, ExtendGrace, Rotate
from counterfoil.core.subjects.token.state import Token
from counterfoil.door import Door
from counterfoil.postgres.connection import Pool, open_pool
from counterfoil.postgres.grace_alerts import open_graces
from counterfoil.postgres.rotation_uses import add
from counterfoil_dev.postgres import Database
from counterfoil_worker.sweep import PAGE, Sweeper
from worker.token_lifetimes import ACCOUNT, PEPPERS, ROOT, born, many_born, told, told_of

WEEK, YEAR = 7 * 86_400, 366 * 86_400.0


@pytest.fixture
async def door(database: Database) -> AsyncIterator[Door]:
    async with Door(database.app_url) as door:
        yield door


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def pool(database: Database, stack: AsyncExitStack) -> Pool:
    return await stack.enter_async_context(await open_pool(database.app_url, size=4))


async def a_sweeper(database: Database, stack: AsyncExitStack, *, notice: int = 86_400) -> Sweeper:
    pool = await stack.enter_async_context(await open_pool(database.app_url, size=2))
    door = await stack.enter_async_context(Door(database.app_url))
    return Sweeper(pool, door, grace_notice_seconds=notice)


async def rotated(door: Door, token: Token, *, grace: int = WEEK) -> Token:
    secret = PEPPERS.minted(mint("service"))
    done = await door.execute(Rotate(account=ACCOUNT, id=token.id, by=ROOT, secret=secret, grace_seconds=grace))
    return done.of(Token)


async def nearly_over(pool: Pool, *tokens: Token) -> None:
    """Let the graces of these tokens have begun six days ago, and end in twenty hours."""
    await pool.execute(
        """
        update token
           set grace_start = now() - interval '6 days', previous_until = now() + interval '20 hours'
         where token_id = any($1)""",
        [token.id for token in tokens],
    )


async def use_previous(pool: Pool, *tokens: Token, ago: timedelta = timedelta(0)) -> None:
    at = datetime.now(UTC) - ago
    for first in range(0, len(tokens), 500):
        await add(pool, [
            (token.account, token.id, token.generation, token.generation - 1, "203.0.113.0/24", 1, at)
            for token in tokens[first : first + 500]
        ])  # fmt: skip


async def test_each_grace_is_announced_once_and_logged(
    database: Database, door: Door, pool: Pool, stack: AsyncExitStack
) -> None:
    tokens = [await rotated(door, await born(door, ends_in=YEAR)) for _ in range(4)]
    used, also, unused, early = tokens
    await nearly_over(pool, used, also, unused)
    await use_previous(pool, used, also, early)
    sweeper = await a_sweeper(database, stack)
    with capture_logs() as lines:
        assert [await sweeper.work() for _ in range(2)] == [2, 0]
    (line,) = [line for line in lines if line["event"] == "swept"]
    assert (line["events"], line["grace_ending"]) == (2, 2)
    assert (await open_graces(pool)).count == 2
    await door.execute(ConfirmRotation(account=ACCOUNT, id=also.id, by=ROOT, even_if_unused=True))
    assert (await open_graces(pool)).count == 1
    assert await told_of(database.app_url, also) == ["grace_ending 86400", "rotated", "rotation_confirmed"]
    assert await told_of(database.app_url, used) == ["grace_ending 86400", "rotated"]
    for token in (unused, early):
        assert await told_of(database.app_url, token) == ["rotated"]


async def test_a_use_late_in_the_grace_is_announced_by_the_next_sweep(
    database: Database, door: Door, pool: Pool, stack: AsyncExitStack
) -> None:
    token, sweeper = await rotated(door, await born(door, ends_in=YEAR)), await a_sweeper(database, stack)
    await nearly_over(pool, token)
    assert await sweeper.work() == 0
    await use_previous(pool, token)
    assert await sweeper.work() == 1


async def test_a_shorter_grace_is_announced_at_half_of_it_and_an_extended_one_again(
    database: Database, door: Door, pool: Pool, stack: AsyncExitStack
) -> None:
    token = await rotated(door, await born(door, ends_in=YEAR), grace=2)
    sweeper = await a_sweeper(database, stack)
    await use_previous(pool, token)
    assert await sweeper.work() == 0
    await asyncio.sleep(1.05)
    assert await sweeper.work() == 1
    await door.execute(ExtendGrace(account=ACCOUNT, id=token.id, by=ROOT, grace_seconds=WEEK))
    assert await sweeper.work() == 0
    await nearly_over(pool, token)
    assert await sweeper.work() == 1
    await door.execute(ConfirmRotation(account=ACCOUNT, id=token.id, by=ROOT, even_if_unused=True))
    assert await sweeper.work() == 0
    assert await told_of(database.app_url, token) == [
        "grace_ending 1", "grace_ending 86400", "grace_extended", "rotated", "rotation_confirmed",
    ]  # fmt: skip


async def test_the_notice_is_a_setting(database: Database, door: Door, pool: Pool, stack: AsyncExitStack) -> None:
    token = await rotated(door, await born(door, ends_in=YEAR))
    await nearly_over(pool, token)
    await use_previous(pool, token)
    assert await (await a_sweeper(database, stack, notice=19 * 3600)).work() == 0
    assert await (await a_sweeper(database, stack, notice=21 * 3600)).work() == 1


async def test_two_simultaneous_sweepers_announce_each_grace_once(
    database: Database, door: Door, pool: Pool, stack: AsyncExitStack
) -> None:
    count = PAGE + 100
    made = await many_born(door, count, ends_in=YEAR)
    tokens = await asyncio.gather(*(rotated(door, token) for token in made))
    await nearly_over(pool, *tokens)
    await use_previous(pool, *tokens)
    sweepers = [await a_sweeper(database, stack) for _ in range(2)]
    while sum(await asyncio.gather(*(sweeper.work() for sweeper in sweepers))):
        pass
    announced = await told(database.app_url)
    assert [announced[token.id, "grace_ending 86400"] for token in tokens] == [1] * count
