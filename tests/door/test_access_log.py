"""Reads become events: one each for an occasional reader, few for a busy one, and none is lost."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio
from uuid_utils.compat import uuid7

from counterfoil.core.principal import Actor, Principal
from counterfoil.core.refusals import Overloaded
from counterfoil.core.subjects.access import NAMED_LIMIT, NoteAccess, Read
from counterfoil.core.unit_of_work import Outcome
from counterfoil.door import Door
from counterfoil.postgres.account_events import reads_of
from counterfoil.postgres.connection import Pool, open_pool
from counterfoil.uses.access_log import AccessLog
from counterfoil_dev.postgres import Database

ACCOUNT = UUID(int=0xACC)
ADA = Principal(actor=Actor("user", UUID(int=0xADA)), account=ACCOUNT, scopes=("all",))
BOB = Principal(actor=Actor("user", UUID(int=0xB0B)), account=ACCOUNT, scopes=("all",))
NEVER = 3_600.0


@pytest_asyncio.fixture
async def readers(database: Database) -> AsyncIterator[Pool]:
    async with await open_pool(database.app_url, size=2) as pool:
        yield pool


async def written(pool: Pool, account: UUID = ACCOUNT) -> list[Read]:
    """The reads in the log of an account, the oldest first."""
    events = [fact.event for fact in reversed(await reads_of(pool, account, limit=1_000))]
    return [event for event in events if isinstance(event, Read)]


async def test_a_burst_is_one_event_for_each_reader_and_a_clean_stop_loses_none(door: Door, readers: Pool) -> None:
    token = uuid7()
    async with AccessLog(door, pause_seconds=NEVER) as witness:
        for _ in range(500):
            witness.note(ADA, "list", rows=50)
        witness.note(ADA, "token", rows=1, tokens=(token,))
        witness.note(BOB, "alerts", rows=0)
        assert await written(readers) == []
    assert sorted(await written(readers), key=lambda read: read.rows) == [
        Read(reader=BOB.actor, calls={"alerts": 1}, rows=0, tokens=(), seconds=0),
        Read(reader=ADA.actor, calls={"list": 500, "token": 1}, rows=25_001, tokens=(token,), seconds=0),
    ]


async def test_the_first_read_is_written_soon_without_a_stop(door: Door, readers: Pool) -> None:
    async with AccessLog(door, pause_seconds=0.05) as witness:
        witness.note(ADA, "list", rows=1)
        async with asyncio.timeout(10):
            while not await written(readers):  # noqa: ASYNC110 - another connection tells us nothing
                await asyncio.sleep(0.01)


async def test_a_continuous_reader_is_written_at_growing_intervals(door: Door, readers: Pool) -> None:
    loop, times = asyncio.get_running_loop(), 0
    async with AccessLog(door, pause_seconds=0.05) as witness:
        end = loop.time() + 2.0
        while loop.time() < end:
            witness.note(ADA, "list", rows=1)
            times += 1
            await asyncio.sleep(0.005)
    reads = await written(readers)
    assert sum(read.calls["list"] for read in reads) == sum(read.rows for read in reads) == times
    assert 1 < len(reads) <= 8  # after 1, 2, 4, 8, 16 and 32 pauses of 50 ms, and at the stop


async def test_announced_reads_are_in_the_log_before_the_answer(door: Door, readers: Pool) -> None:
    async with AccessLog(door, pause_seconds=NEVER) as witness:
        await asyncio.gather(*(witness.record(ADA, "events", rows=2) for _ in range(20)))
        assert [(read.calls, read.rows) for read in await written(readers)] == [({"events": 1}, 2)] * 20


async def test_accounts_see_only_their_own_reads(door: Door, readers: Pool) -> None:
    stranger = Principal(actor=ADA.actor, account=UUID(int=2), scopes=("all",))
    async with AccessLog(door) as witness:
        await witness.record(stranger, "events", rows=3)
    assert (len(await written(readers)), len(await written(readers, stranger.account))) == (0, 1)


async def test_pages_of_reads_have_neither_gaps_nor_overlaps(door: Door, readers: Pool) -> None:
    async with AccessLog(door) as witness:
        await asyncio.gather(*(witness.record(who, "past", rows=n) for n in range(10) for who in (ADA, BOB)))
    everything = await reads_of(readers, ACCOUNT, limit=100)
    assert [fact.at for fact in everything] == sorted((fact.at for fact in everything), reverse=True)
    paged, place = [], None
    while page := await reads_of(readers, ACCOUNT, after=place, limit=3):
        paged += page
        place = (page[-1].at, page[-1].subject.id, page[-1].version)
    assert paged == everything
    of_one = await reads_of(readers, ACCOUNT, logs=[everything[0].subject.id], limit=100)
    assert of_one == [fact for fact in everything if fact.subject == everything[0].subject]
    assert len(of_one) == 10


class Stubborn:
    """A door that refuses this many commands before it accepts."""

    def __init__(self, door: Door, times: int) -> None:
        self._door, self.left = door, times

    async def execute(self, command: NoteAccess) -> Outcome:
        if self.left:
            self.left -= 1
            raise Overloaded
        return await self._door.execute(command)


async def test_reads_that_could_not_be_written_are_kept_for_the_next_attempt(door: Door, readers: Pool) -> None:
    stubborn = Stubborn(door, times=3)
    async with AccessLog(stubborn, pause_seconds=0.02) as witness:
        witness.note(ADA, "list", rows=1)
        async with asyncio.timeout(10):
            while stubborn.left:
                witness.note(ADA, "token", rows=1, tokens=(uuid7(),))
                await asyncio.sleep(0.005)
    reads = await written(readers)
    assert sum(read.calls.get("list", 0) for read in reads) == 1
    assert sum(read.rows for read in reads) == sum(sum(read.calls.values()) for read in reads)


async def test_reads_that_cannot_be_logged_are_not_shown(door: Door) -> None:
    async with AccessLog(Stubborn(door, times=1)) as witness:
        with pytest.raises(Overloaded):
            await witness.record(ADA, "events", rows=1)


async def test_memory_and_events_are_bounded_for_any_number_of_reads(door: Door, readers: Pool) -> None:
    async with AccessLog(door, pause_seconds=NEVER) as witness:
        for _ in range(3 * NAMED_LIMIT):
            witness.note(ADA, "token", rows=1, tokens=(uuid7(),))
    (read,) = await written(readers)
    assert (len(read.tokens), read.calls, read.rows) == (NAMED_LIMIT, {"token": 3 * NAMED_LIMIT}, 3 * NAMED_LIMIT)
