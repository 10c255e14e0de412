"""Measures the time from a commit to a line of a live stream, and the cost of many streams.

    python3 shared/boot.py run python -m tests.bench.streams --streams 200 --stalled 100 --rate 1000

Two API processes, a sealer and Postgres, on this machine's disk with fsync on, and readers who insist on every
position. The readers and the writer run in this process: on two cores they take from the API more than it needs.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from uuid import UUID

import asyncpg
import msgspec
import uvloop

from counterfoil_dev.postgres import Database, embedded_postgres
from counterfoil_dev.state import State

from .followers import Follower, account_of, figures, milliseconds, session_of, write
from .load import HOST
from .sample import ENVIRONMENT, secret
from .stage import Server, Stage

_TOKENS = 2_000


@dataclass(frozen=True, slots=True)
class Figures:
    """The result."""

    streams: int
    stalled: int
    events: int
    delivered_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_of_an_api_process: float
    """The share of one core."""
    megabytes_grown: float
    """The growth of the process that grew more."""


async def figures_of(servers: list[Server], arguments: argparse.Namespace) -> Figures:
    """Follow with all readers while events are written."""
    urls = [f"http://{HOST}:{server.port}" for server in servers]
    database, credentials = servers[0].database, f"Bearer {secret(0).plain}"
    account = await account_of(database)
    async with session_of(credentials) as session, session_of(credentials, stalls=True) as stalling:
        head = await _sealed(database, account)
        before = [await figures(session, url) for url in urls]
        reading = [Follower(session, urls[at % 2], head) for at in range(arguments.streams - arguments.stalled)]
        async with AsyncExitStack() as opened, asyncio.TaskGroup() as tasks:
            for at in range(arguments.stalled):
                await opened.enter_async_context(Follower(stalling, urls[at % 2], head).open())
            for each in reading:
                tasks.create_task(each.read())
            began = monotonic()
            await write(database.owner_url, account, rate=arguments.rate, seconds=arguments.seconds)
            took = monotonic() - began
            after = [await figures(session, url) for url in urls]
            until = await _sealed(database, account)
            for each in reading:
                each.until = until
    return Figures(
        streams=arguments.streams, stalled=arguments.stalled, events=until - head,
        delivered_per_second=sum(each.events for each in reading) / took,
        p50_ms=milliseconds(reading, 50), p99_ms=milliseconds(reading, 99),
        cpu_of_an_api_process=max(now[1] - then[1] for then, now in zip(before, after, strict=True)) / took,
        megabytes_grown=max(now[0] - then[0] for then, now in zip(before, after, strict=True)),
    )  # fmt: skip


async def _sealed(database: Database, account: UUID) -> int:
    """Wait until all events are sealed, and return the end of the account's log."""
    connection = await asyncpg.connect(database.owner_url)
    try:
        while await connection.fetchval("select (select count(*) from event) > (select size from head)"):  # noqa: ASYNC110 - another process seals
            await asyncio.sleep(0.05)
        return int(await connection.fetchval("select max(account_pos) from sealed where account_id = $1", account))
    finally:
        await connection.close()


def main() -> None:
    """Build the stage, measure, and print the result."""
    parser = argparse.ArgumentParser(prog="tests.bench.streams", description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--stalled", type=int, default=100, help="how many of them read nothing")
    parser.add_argument("--rate", type=int, default=1_000, help="events a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    os.environ["STREAMS_PER_ACCOUNT"] = str(arguments.streams)
    with tempfile.TemporaryDirectory(prefix="cf-streams-", dir="/tmp") as directory, ExitStack() as ending:
        postgres = ending.enter_context(embedded_postgres(State.at(Path(directory))))
        stage = Stage(postgres, Path(directory), ending)
        first = stage.server("postgres", _TOKENS)
        servers = [first, stage.another("postgres", _TOKENS)]
        environment = {**os.environ, **ENVIRONMENT, "DATABASE_URL": first.database.app_url, "LOG_LEVEL": "error"}
        sealing = subprocess.Popen([Path(sys.executable).with_name("counterfoil"), "sealer"], env=environment)
        ending.callback(sealing.wait, 20)
        ending.callback(sealing.terminate)
        found = uvloop.run(figures_of(servers, arguments))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(asdict(found))).decode() + "\n")


if __name__ == "__main__":
    main()
