"""Readiness warns when the log is not being sealed, and the service stays ready."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession

from api.service import Answer, Caller, founded, served, settings_for
from counterfoil.postgres.connection import Connection
from counterfoil.postgres.sealing import Sealing, connect_sealer
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database
from postgres.sealing import seal_all


@pytest.fixture
async def anybody(database: Database, tmp_path: Path) -> AsyncIterator[Caller]:
    """A caller without credentials at a separate service of this test."""
    settings = settings_for(database.app_url)
    await founded(settings, "ours", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        yield Caller(session, "")


async def ready(anybody: Caller) -> Answer:
    answer = await anybody.get("/readyz")
    assert (answer.status, answer.json["status"]) == (200, "ready")
    return answer


async def warns_no_more(anybody: Caller, seal: Callable[[], Awaitable[object]]) -> bool:
    """Seal until no warning is left, waiting for other transactions of this server."""
    for _ in range(200):
        await seal()
        if not (await ready(anybody)).json["warnings"]:
            return True
        await asyncio.sleep(0.05)
    return False


async def number(anybody: Caller, name: str) -> float:
    lines = (await anybody.get("/metrics")).body.decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"counterfoil_{name} ")))


async def test_a_stopped_sealer_is_a_warning(anybody: Caller, database: Database, owner: Connection) -> None:
    assert await warns_no_more(anybody, lambda: seal_all(database.app_url))
    await owner.execute("update head set passed_at = clock_timestamp() - interval '100 s'")
    (warning,) = (await ready(anybody)).json["warnings"]
    assert warning.startswith("No sealer has reported for 10")
    assert "Start `counterfoil sealer`" in warning
    assert await number(anybody, "seal_silence_seconds") >= 100


async def test_a_sealer_that_is_behind_is_a_warning(anybody: Caller, database: Database, owner: Connection) -> None:
    events = await seal_all(database.app_url)
    assert (await number(anybody, "log_size"), await number(anybody, "seal_backlog")) == (events, 0)
    assert await number(anybody, "seal_lag_seconds") == 0
    await owner.execute(
        """
        insert into event (account_id, kind, subject_id, version, type, at, entry)
        select account_id, kind, gen_random_uuid(), 1, type, clock_timestamp() - interval '1 minute', entry
          from event limit 2"""
    )
    (warning,) = (await ready(anybody)).json["warnings"]
    assert warning.startswith("The sealer is behind: the oldest event that is not in the log yet is 6")
    assert await number(anybody, "seal_backlog") == 2
    assert await number(anybody, "seal_lag_seconds") >= 60


async def test_a_transaction_left_open_is_a_warning(anybody: Caller, database: Database, owner: Connection) -> None:
    connection = await connect_sealer(database.app_url)
    await owner.execute("begin; select pg_current_xact_id()")
    sealing = Sealing(connection)
    await sealing.step()
    await connection.execute("update head set watermark_at = clock_timestamp() - interval '400 s'")
    await sealing.step()
    (warning,) = (await ready(anybody)).json["warnings"]
    assert re.match(r"A transaction that writes has been open for 4\d\d s or more\. Find it in", warning)
    assert await number(anybody, "seal_watermark_age_seconds") >= 400
    await owner.execute("rollback")
    assert await warns_no_more(anybody, sealing.step)
    await connection.close()
