"""Reads of the log by position: the first of an hour is logged before its answer, the others together afterwards."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from counterfoil.core.principal import Actor, Principal
from counterfoil.core.refusals import Overloaded
from counterfoil.core.subjects import access
from counterfoil.core.subjects.access import LogRange, NoteAccess, Read
from counterfoil.core.unit_of_work import Outcome
from counterfoil.door import Door
from counterfoil.postgres.account_events import reads_of
from counterfoil.postgres.connection import Connection, Pool, open_pool
from counterfoil.uses.access_log import AccessLog
from counterfoil.uses.audit.progress import Tally
from counterfoil.uses.audit.whole_log import replay
from counterfoil_dev.postgres import Database

ACCOUNT = UUID(int=0xACC)
ADA = Principal(actor=Actor("user", UUID(int=0xADA)), account=ACCOUNT, scopes=("all",))
BOB = Principal(actor=Actor("user", UUID(int=0xB0B)), account=ACCOUNT, scopes=("all",))
ABROAD = Principal(actor=ADA.actor, account=UUID(int=2), scopes=("all",))
TOKEN = UUID(int=0xC0FFEE)
SOON = 0.05
"""Seconds between two looks at what is due, times four."""


@pytest_asyncio.fixture
async def readers(database: Database) -> AsyncIterator[Pool]:
    async with await open_pool(database.app_url, size=2) as pool:
        yield pool


async def written(pool: Pool, account: UUID = ACCOUNT) -> list[Read]:
    """The reads in the log of an account, the oldest first."""
    events = [fact.event for fact in reversed(await reads_of(pool, account, limit=1_000))]
    return [event for event in events if isinstance(event, Read)]


async def until_written(pool: Pool, count: int) -> list[Read]:
    async with asyncio.timeout(10):
        while len(found := await written(pool)) < count:  # noqa: ASYNC110 - another connection tells us nothing
            await asyncio.sleep(0.01)
    return found


async def an_hour_goes_by(owner: Connection) -> None:
    """Move all logged reads an hour into the past."""
    await owner.execute(
        """
        update subject
           set details = jsonb_set(details::jsonb, '{log_read_at}',
                                   (select jsonb_object_agg(key, value::timestamptz - interval '1h')
                                      from jsonb_each_text(details::jsonb -> 'log_read_at')))::text
         where kind = 'access'"""
    )


class Counting:
    """A door that counts its commands and refuses them while it is shut."""

    def __init__(self, door: Door) -> None:
        self._door, self.asked, self.shut = door, 0, False

    async def execute(self, command: NoteAccess) -> Outcome:
        self.asked += 1
        if self.shut:
            raise Overloaded
        return await self._door.execute(command)


async def test_the_first_read_is_logged_before_its_answer_and_the_rest_of_the_hour_uses_no_door(
    door: Door, readers: Pool
) -> None:
    counting = Counting(door)
    async with AccessLog(counting, pause_seconds=SOON) as witness:
        await witness.record_log(ADA, first=1, last=500, rows=500, filters=("type", "since"), tokens=(TOKEN,))
        first = Read(
            reader=ADA.actor, calls={"log": 1}, rows=500, tokens=(TOKEN,), seconds=0,
            log=LogRange(first=1, last=500, filters={"type": 1, "since": 1}),
        )  # fmt: skip
        assert await written(readers) == [first]
        for page in range(1, 100):
            await witness.record_log(ADA, first=500 * page + 1, last=500 * page + 500, rows=500)
            witness.note_log(ADA, first=1, last=500, rows=1)
        await asyncio.sleep(4 * SOON)
        assert (counting.asked, await written(readers)) == (1, [first])
    assert await written(readers) == [first]


async def test_the_other_reads_of_an_hour_are_one_event_at_its_end(
    door: Door, readers: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "HOUR", timedelta(seconds=1))
    async with AccessLog(door, pause_seconds=SOON) as witness:
        await witness.record_log(ADA, first=1, last=10, rows=10)
        await witness.record_log(ADA, first=11, last=20, rows=10, filters=("actor",), tokens=(TOKEN,))
        await witness.record_log(ADA, first=5, last=6, rows=2)
        witness.note_log(ADA, first=21, last=400, rows=300)
        _, second = await until_written(readers, 2)
    assert second.log == LogRange(first=5, last=400, filters={"actor": 1, "none": 1})
    assert (second.calls, second.rows, second.tokens) == ({"log": 2}, 312, (TOKEN,))


async def test_a_long_stream_is_one_event_an_hour(door: Door, readers: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream also shows its own events; with one an hour they do not cause each other."""
    monkeypatch.setattr(access, "HOUR", timedelta(seconds=0.5))
    loop = asyncio.get_running_loop()
    async with AccessLog(door, pause_seconds=SOON) as witness:
        began = loop.time()
        await witness.record_log(ADA, first=1, last=0)
        seen = 0
        while loop.time() < began + 2:
            told = len(await written(readers))
            if told > seen:
                witness.note_log(ADA, first=seen + 1, last=told, rows=told - seen)
                seen = told
            await asyncio.sleep(0.005)
        hours = (loop.time() - began) / 0.5
    found = await written(readers)
    assert 2 <= len(found) <= hours + 1
    assert [read.calls for read in found] == [{"log": 1}] + [{"log": 0}] * (len(found) - 1)
    # Each event records that the one before was shown.
    assert [read.log for read in found[1:]] == [LogRange(first=n, last=n) for n in range(1, len(found))]


async def test_several_processes_write_one_event_an_hour(
    door: Door, database: Database, readers: Pool, owner: Connection
) -> None:
    async with (
        Door(database.app_url) as other,
        AccessLog(door, pause_seconds=SOON) as here,
        AccessLog(other, pause_seconds=SOON) as there,
    ):
        await asyncio.gather(
            *(each.record_log(ADA, first=n, last=n, rows=1) for n in range(20) for each in (here, there))
        )
        (only,) = await written(readers)
        assert only.calls == {"log": 1}
    assert len(await written(readers)) == 1
    await an_hour_goes_by(owner)
    async with AccessLog(door) as next_one:
        await next_one.record_log(BOB, first=1, last=1)
        await next_one.record_log(ADA, first=1, last=1)
    assert [read.reader for read in await written(readers)] == [ADA.actor, BOB.actor, ADA.actor]


async def test_reads_buffered_by_another_process_are_written_at_the_end_of_the_ledgers_hour(
    door: Door, readers: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "HOUR", timedelta(seconds=1.5))
    async with AccessLog(door, pause_seconds=SOON) as here, AccessLog(door, pause_seconds=SOON) as there:
        await here.record_log(ADA, first=1, last=1, rows=1)
        await asyncio.sleep(0.5)
        await there.record_log(ADA, first=2, last=2, rows=1)  # learns that there is an event, and until when it counts
        _, second = await until_written(readers, 2)
        assert second.log == LogRange(first=2, last=2, filters={"none": 1})
    assert len(await written(readers)) == 2


async def test_many_simultaneous_streams_of_one_reader_use_the_door_once(door: Door, readers: Pool) -> None:
    counting = Counting(door)
    async with AccessLog(counting) as witness:
        await asyncio.gather(*(witness.record_log(ADA, first=1, last=9) for _ in range(200)))
        assert counting.asked == 1
    assert len(await written(readers)) == 1


async def test_each_reader_account_and_the_whole_log_has_its_own_hour(door: Door, readers: Pool) -> None:
    async with AccessLog(door) as witness:
        for _ in range(3):
            for asker in (ADA, BOB, ABROAD):
                await witness.record_log(asker, first=1, last=9)
            await witness.record_log(ADA, first=1, last=900, whole=True)
        await witness.record(ADA, "events", rows=1)
        await witness.record(ADA, "events", rows=1)
    found = [(read.reader, read.calls) for read in await written(readers)]
    assert found == [
        (ADA.actor, {"log": 1}), (BOB.actor, {"log": 1}), (ADA.actor, {"whole_log": 1}),
        (ADA.actor, {"events": 1}), (ADA.actor, {"events": 1}),
    ]  # fmt: skip
    assert [read.calls for read in await written(readers, ABROAD.account)] == [{"log": 1}]


async def test_the_audit_finds_the_hour_of_a_reader_in_the_events(door: Door, database: Database) -> None:
    async with AccessLog(door) as witness:
        await witness.record(ADA, "events", rows=1)
        await witness.record_log(ADA, first=1, last=9)
        await witness.record_log(ADA, first=1, last=9, whole=True)
    tally = Tally(lambda _done, _total: None)
    assert [finding async for finding in replay(database.app_url, tally)] == []
    assert tally.events == 3


async def test_reads_that_cannot_be_logged_are_neither_shown_nor_counted(
    door: Door, readers: Pool, owner: Connection
) -> None:
    counting = Counting(door)
    async with AccessLog(counting, pause_seconds=3_600) as witness:
        counting.shut = True
        refused = await asyncio.gather(
            *(witness.record_log(ADA, first=1, last=9, rows=9) for _ in range(3)), return_exceptions=True
        )
        assert [type(each) for each in refused] == [Overloaded] * 3
        counting.shut = False
        await witness.record_log(ADA, first=4, last=5, rows=2)
        witness.note_log(ADA, first=6, last=7, rows=2)
        await an_hour_goes_by(owner)
    first, second = await written(readers)
    assert (first.calls, first.rows, first.log) == ({"log": 1}, 2, LogRange(first=4, last=5, filters={"none": 1}))
    assert (second.calls, second.rows, second.log) == ({"log": 0}, 2, LogRange(first=6, last=7))


async def test_buffered_reads_survive_an_outage_of_the_ledger(
    door: Door, readers: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterfoil.uses.log_reads._REST_SECONDS", SOON)
    monkeypatch.setattr(access, "HOUR", timedelta(seconds=0.3))
    counting = Counting(door)
    async with AccessLog(counting, pause_seconds=SOON) as witness:
        await witness.record_log(ADA, first=1, last=1)
        witness.note_log(ADA, first=2, last=3, rows=2)
        counting.shut, asked = True, counting.asked
        async with asyncio.timeout(10):
            while counting.asked < asked + 3:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        with pytest.raises(Overloaded):  # the hour is over: a read that cannot be logged is not shown
            await witness.record_log(ADA, first=1, last=100)
        counting.shut = False
        _, second = await until_written(readers, 2)
    assert (second.calls, second.rows, second.log) == ({"log": 0}, 2, LogRange(first=2, last=3))


async def test_a_reader_that_disconnects_during_the_write_is_counted_once(
    door: Door, readers: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "HOUR", timedelta(seconds=0.5))
    counting = Counting(door)
    async with AccessLog(counting, pause_seconds=SOON) as witness:
        gone = asyncio.create_task(witness.record_log(ADA, first=1, last=1, rows=1))
        while not counting.asked:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        gone.cancel()
        witness.note_log(ADA, first=2, last=2, rows=1)
        first, second = await until_written(readers, 2)
    assert [(read.calls, read.rows) for read in (first, second)] == [({"log": 1}, 1), ({"log": 0}, 1)]


async def test_a_stopping_service_logs_the_reads_that_it_could_not_write(door: Door, readers: Pool) -> None:
    with capture_logs() as logs:
        async with AccessLog(door) as witness:
            await witness.record_log(ADA, first=1, last=1)
            witness.note_log(ADA, first=2, last=70, rows=60)
    assert len(await written(readers)) == 1
    assert logs == [
        {
            "event": "log_reads_unwritten", "log_level": "info", "account": ACCOUNT, "reader": ADA.actor.id,
            "kind": "user", "which": "log", "first": 2, "last": 70, "rows": 60,
        }
    ]  # fmt: skip
