"""Live streams during many kills show exactly what a replay shows afterwards."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from api.service import founded, settings_for
from bench.followers import Follower, session_of
from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.sealed_log import head_of
from counterfoil_dev.postgres import Database
from security.processes import several
from uses.sealer_chaos import storm

READS_ON_SECONDS = 60


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_streams_are_complete_through_fifty_writers_and_twenty_kills(database: Database, tmp_path: Path) -> None:
    await _follow_a_storm(database, tmp_path, writers=50, kills=20, accounts=5)


async def _follow_a_storm(database: Database, directory: Path, *, writers: int, kills: int, accounts: int) -> None:
    """Follow one account's log and the whole log at two processes, and compare each with a replay."""
    credentials = await founded(settings_for(database.app_url), "ours", directory)
    account = UUID(credentials["account"])
    async with (
        several(database, 2, OPERATOR_ACCOUNT=str(account)) as urls,
        session_of(f"Bearer {credentials['admin_token']}") as session,
        await open_pool(database.app_url, size=1) as pool,
    ):
        queries = ("follow=true", "follow=true&accounts=all")
        live = [Follower(session, url, 0, query=query) for url in urls for query in queries]

        async def watch(sealed: asyncio.Event) -> None:
            async with asyncio.TaskGroup() as tasks:
                for each in live:
                    tasks.create_task(each.read())
                await sealed.wait()
                heads = await head_of(pool, account), await head_of(pool, None)
                for each in live:
                    each.until = heads[queries.index(each.query)]

        everybody = [account, *(uuid7() for _ in range(accounts - 1))]
        blown = await storm(database, directory, accounts=everybody, writers=writers, kills=kills, beside=watch)
        for each in live:
            assert not each.cut
            again = Follower(session, urls[0], 0, each.until, each.query.replace("true", "false"))
            await asyncio.wait_for(again.read(), READS_ON_SECONDS)
            assert (each.position, each.checksum) == (again.position, again.checksum)
        assert live[1].events >= blown.committed
