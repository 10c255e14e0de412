"""Many streams at several processes, half of them unread: complete, without duplicates, with bounded memory."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from aiohttp import ClientSession

from api.service import founded, settings_for
from bench.followers import Follower, figures, milliseconds, session_of, write
from counterfoil_dev.postgres import Database
from postgres.sealing import seal_all
from security.processes import one, ready, several
from uses.sealer_processes import sealer

READS_ON_SECONDS = 60
ENDS_WITHIN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Scene:
    """Two API processes and a sealer over one database."""

    database: Database
    urls: list[str]
    credentials: str
    account: UUID

    async def head(self) -> int:
        connection = await asyncpg.connect(self.database.owner_url)
        try:
            return int(
                await connection.fetchval(
                    "select coalesce(max(account_pos), 0) from sealed where account_id = $1", self.account
                )
            )
        finally:
            await connection.close()


@pytest.fixture
async def scene(database: Database, tmp_path: Path) -> AsyncIterator[Scene]:
    credentials = await founded(settings_for(database.app_url), "ours", tmp_path)
    bearer = f"Bearer {credentials['admin_token']}"
    with sealer(database.app_url, tmp_path / "sealer.log"):
        async with several(database, 2, STREAMS_PER_ACCOUNT="1000") as urls:
            yield Scene(database, urls, bearer, UUID(credentials["account"]))


@pytest.mark.soak
async def test_streams_at_two_processes_are_complete_and_equal_a_replay(scene: Scene) -> None:
    await _many(scene, streams=16, rate=300, seconds=4)


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_two_hundred_streams_are_complete_with_half_of_them_unread(scene: Scene) -> None:
    """Unread streams are cut, cost no memory, and resume at the other process where they stopped."""
    async with session_of(scene.credentials, stalls=True) as session, AsyncExitStack() as opened:
        before = [await figures(session, url) for url in scene.urls]
        stalled = [Follower(session, scene.urls[at % 2], 0) for at in range(100)]
        answers = [await opened.enter_async_context(each.open()) for each in stalled]
        readers = await _many(scene, streams=100, rate=1_000, seconds=50)
        after = [await figures(session, url) for url in scene.urls]
        grown = [mine[0] - first[0] for first, mine in zip(before, after, strict=True)]
        until = await scene.head()
        for each, answer in zip(stalled, answers, strict=True):
            await each.read_on(answer)
            assert each.cut
            assert each.position < until
        for each in stalled[:10]:
            each.url, each.until = next(url for url in scene.urls if url != each.url), until
            await asyncio.wait_for(each.read(), READS_ON_SECONDS)
            assert each.position >= until
    summary = f"p50 {milliseconds(readers, 50)} ms, p99 {milliseconds(readers, 99)} ms, grown by {grown} MB"
    print(summary)  # noqa: T201 - whoever runs this wants to know
    # The delay is well below a second on an idle machine; see `python -m tests.bench.streams`.
    assert milliseconds(readers, 99) < 10_000, summary
    assert max(grown) < 150, summary


async def test_a_stream_resumes_at_the_other_process_after_a_kill(database: Database, tmp_path: Path) -> None:
    credentials = await founded(settings_for(database.app_url), "ours", tmp_path)
    account = UUID(credentials["account"])
    with (
        sealer(database.app_url, tmp_path / "sealer.log"),
        one(database) as (first, victim),
        one(database) as (other, _),
    ):
        await asyncio.gather(ready(first), ready(other))
        async with session_of(f"Bearer {credentials['admin_token']}") as session:
            writing = asyncio.create_task(write(database.owner_url, account, rate=500, seconds=3))
            reader = Follower(session, first, 0)
            reading = asyncio.create_task(reader.read())
            await asyncio.sleep(1.5)
            victim.kill()
            await reading
            seen, reader.url = reader.position, other
            assert reader.cut
            assert seen > 0
            reader.until = await writing
            await asyncio.wait_for(reader.read(), READS_ON_SECONDS)
            assert reader.events == reader.position >= reader.until > seen


async def _many(scene: Scene, *, streams: int, rate: int, seconds: float) -> list[Follower]:
    """Let many clients follow while events are written, and compare each with a replay."""
    begin = await scene.head()
    async with session_of(scene.credentials) as session:
        readers = [Follower(session, scene.urls[at % 2], begin) for at in range(streams)]
        async with asyncio.timeout(seconds + READS_ON_SECONDS), asyncio.TaskGroup() as reading:
            for each in readers:
                reading.create_task(each.read())
            written = await write(scene.database.owner_url, scene.account, rate=rate, seconds=seconds)
            await seal_all(scene.database.app_url)
            until = await scene.head()
            for each in readers:
                each.until = until
        replay = Follower(session, scene.urls[0], begin, until)
        await replay.read()
        assert written <= until - begin
        for each in readers:
            assert (each.position, each.events, each.cut) == (replay.position, replay.events, False)
            assert each.checksum == replay.checksum
    return readers


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_stopping_service_ends_its_streams_at_once(database: Database, tmp_path: Path, processes: str) -> None:
    credentials = await founded(settings_for(database.app_url), "ours", tmp_path)
    headers = {"Authorization": f"Bearer {credentials['admin_token']}"}
    with one(database, API_PROCESSES=processes) as (url, process):
        await ready(url)
        async with AsyncExitStack() as opened:
            streams = []
            for _ in range(6):  # one connection each, so that every process has some
                session = await opened.enter_async_context(ClientSession(url, headers=headers))
                streams.append(await opened.enter_async_context(session.get("/v1/events", params={"follow": "true"})))
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(ENDS_WITHIN_SECONDS):
                for each in streams:
                    assert each.status == 200
                    await each.read()  # to a proper end: a cut stream raises
        assert await asyncio.to_thread(process.wait, 30) == 0
