"""The promises of the sweep for longer: whatever is killed, every expiry is announced once."""

import asyncio
import os
import random
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from counterfoil.core.subjects.token.state import Token
from counterfoil.door import Door
from counterfoil_dev.postgres import Database, Postgres
from counterfoil_dev.valkey import Valkey
from worker.token_lifetimes import born, told
from worker.workers import WorkerProcess, running, wait_until

pytestmark = pytest.mark.soak

_ROUNDS = 12


async def test_workers_valkey_and_postgres_are_killed_and_each_expiry_is_announced_once(
    postgres_server: Postgres, database: Database, valkey: Valkey, tmp_path: Path
) -> None:
    chance = random.Random(7)
    tokens: list[Token] = []
    with ExitStack() as stack:
        workers: list[WorkerProcess] = []
        for number in range(_ROUNDS):
            while len(workers) < 2:
                name = tmp_path / f"{number}.{len(workers)}"
                workers.append(stack.enter_context(running(database.app_url, valkey.url, name)))
            async with Door(database.app_url) as door:
                tokens += await asyncio.gather(*(born(door, ends_in=chance.uniform(-1, 3)) for _ in range(400)))
            await asyncio.sleep(chance.uniform(0.2, 1.5))
            victim = chance.choice(["worker", "valkey", "postgres"])
            if victim == "worker":
                workers.pop(chance.randrange(2)).kill()
                continue
            server = valkey if victim == "valkey" else postgres_server
            server.child.kill()
            await asyncio.sleep(chance.uniform(0, 1))
            server.start()
        await _until_all_are_told(database.app_url, tokens)
        assert [worker.stop() for worker in workers] == [0] * len(workers)
    said = await told(database.app_url)
    assert {said[token.id, "expired"] for token in tokens} == {1}


async def _until_all_are_told(url: str, tokens: list[Token]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        said = await told(url)
        if all(said[token.id, "expired"] for token in tokens):
            return
        await asyncio.sleep(0.2)
    pytest.fail("an expiry was never said")


async def test_a_frozen_redis_delays_a_sweep_only_by_seconds(
    database: Database, valkey: Valkey, tmp_path: Path
) -> None:
    with running(database.app_url, valkey.url, tmp_path / "log") as worker:
        worker.wait_until_said("lead_taken")
        os.kill(valkey.child.pid, signal.SIGSTOP)
        try:
            async with Door(database.app_url) as door:
                await _until_all_are_told(database.app_url, [await born(door, ends_in=-60)])
            assert worker.stop() == 0
        finally:
            os.kill(valkey.child.pid, signal.SIGCONT)


def test_a_frozen_leader_is_deposed_within_seconds(database: Database, valkey: Valkey, tmp_path: Path) -> None:
    with (
        running(database.app_url, valkey.url, tmp_path / "first") as first,
        running(database.app_url, valkey.url, tmp_path / "second") as second,
    ):
        wait_until(lambda: first.said("lead_taken") + second.said("lead_taken"))
        leader, follower = (first, second) if first.said("lead_taken") else (second, first)
        os.kill(leader.process.pid, signal.SIGSTOP)
        follower.wait_until_said("lead_taken", seconds=15)
        os.kill(leader.process.pid, signal.SIGCONT)
        leader.wait_until_said("lead_lost", seconds=5)
