"""Measures the sealer: appends while it runs, a backlog, and its cost while nothing is written.

    python3 shared/boot.py run python -m tests.bench.seal                        a backlog of a million, some minutes
    python3 shared/boot.py run python -m tests.bench.seal --backlog 100000

One API process under 64 connections that exchange tokens, with and without a sealer in turns; then a backlog in a
database of its own, sealed by one connection; then a sealer process at rest after it. Postgres is on this machine's
disk with fsync on. Load, API, Postgres and sealer want four cores: on fewer, the sealer's processor time is taken from
the others, and the ratio says what that costs.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import asyncpg
import msgspec

from counterfoil.postgres.migrate import migrate
from counterfoil.postgres.sealing import Sealing, connect_sealer
from counterfoil_dev.postgres import APPLICATION, OWNER, Database, Postgres, embedded_postgres
from counterfoil_dev.state import State

from .fill import fill
from .load import Round
from .results import Half
from .sample import ENVIRONMENT, secret
from .stage import Server, Stage

TOKENS = 10_000
IDLE_SECONDS = 10.0
LOOKS = 200
# Five versions of each subject, in a hundred accounts, with the bytes of a real entry.
_BACKLOG = """
insert into event (account_id, kind, subject_id, version, type, at, entry)
select md5((subject % 100)::text)::uuid, 'token', md5('subject ' || subject)::uuid, version, 'updated',
       clock_timestamp(), (select entry from event limit 1)
  from generate_series(1, 5) as version, generate_series(1, $1::integer / 5) as subject"""


class Sealed(msgspec.Struct, frozen=True):
    """The result."""

    appends_alone: float
    appends_sealed: float
    ratios: list[float]
    backlog: int
    seal_rate: float
    seal_cpu_microseconds: float
    idle_look_ms: float
    idle_pass_ms: float
    idle_core_share: float
    idle_postgres_core_share: float


@contextmanager
def sealer(database: Database, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a sealer process."""
    command = [str(Path(sys.executable).with_name("counterfoil")), "sealer"]
    environment = {**os.environ, **ENVIRONMENT, "DATABASE_URL": database.app_url}
    with log.open("ab") as stream, subprocess.Popen(command, env=environment, stdout=stream, stderr=stream) as process:
        try:
            yield process
        finally:
            process.terminate()


def appends(stage: Stage, server: Server, arguments: argparse.Namespace) -> tuple[Half, Half]:
    """Exchange tokens without and with a sealer, in turns."""
    alone, sealed = Half(), Half()
    for turn in range(arguments.rounds):
        this = Round(
            kind="exchange", port=server.port, tokens=server.tokens, asker=secret(0).plain, seed=turn,
            seconds=arguments.seconds, connections=arguments.connections,
        )  # fmt: skip
        alone.tallies.append(stage.play(this))
        with sealer(server.database, stage.logs / "sealer.log"):
            asyncio.run(_caught_up(server.database))
            sealed.tallies.append(stage.play(this))
            asyncio.run(_caught_up(server.database))
    return alone, sealed


async def _caught_up(database: Database) -> None:
    connection = await asyncpg.connect(database.owner_url)
    try:
        while await connection.fetchval("select (select count(*) from event) > size from head"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def backlog(postgres: Postgres, events: int) -> tuple[Database, float, float]:
    """Seal a backlog of this many events; return their database, events a second, and processor time for each."""
    postgres.run(f"create database backlog owner {OWNER};")
    database = postgres.database("backlog")
    await migrate(database.owner_url, app_role=APPLICATION)
    await fill(database, tokens=2)
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(_BACKLOG, events)
    await owner.close()
    postgres.run("checkpoint")
    connection = await connect_sealer(database.app_url)
    sealing, began, spent = Sealing(connection), time.perf_counter(), time.process_time()
    while not (step := await sealing.step()).finished:
        pass
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    await connection.close()
    return database, step.size / seconds, 1e6 * cpu / step.size


async def idle_passes(database: Database) -> tuple[float, float]:
    """Return the milliseconds of a check for new events, and of a whole pass without any."""
    connection = await connect_sealer(database.app_url)
    sealing = Sealing(connection)
    await sealing.step()
    looks, passes = [], []
    for _ in range(LOOKS):
        began = time.perf_counter()
        await sealing.has_news()
        looks.append(time.perf_counter() - began)
    for _ in range(LOOKS // 10):
        began = time.perf_counter()
        await sealing.step()
        passes.append(time.perf_counter() - began)
    await connection.close()
    return 1e3 * median(looks), 1e3 * median(passes)


async def idle_shares(database: Database, log: Path, seconds: float) -> tuple[float, float]:
    """Return the shares of a core that an idle sealer takes: its process, and its sessions in Postgres."""
    connection = await asyncpg.connect(database.owner_url)
    with sealer(database, log) as process:
        while not (pids := await connection.fetch(_SESSIONS)):  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        before = _cpu(process.pid), sum(_cpu(row["pid"]) for row in pids)
        began = time.perf_counter()
        await asyncio.sleep(seconds)
        took = time.perf_counter() - began
        after = _cpu(process.pid), sum(_cpu(row["pid"]) for row in pids)
    await connection.close()
    return (after[0] - before[0]) / took, (after[1] - before[1]) / took


_SESSIONS = "select pid from pg_stat_activity where application_name = 'counterfoil sealer'"


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, and print the result."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="cf-bench-", dir="/tmp") as directory, ExitStack() as ending:
        postgres = ending.enter_context(embedded_postgres(State.at(Path(directory))))
        stage = Stage(postgres, Path(directory), ending)
        alone, sealed = appends(stage, stage.server("postgres", arguments.tokens), arguments)
        database, rate, cpu = asyncio.run(backlog(postgres, arguments.backlog))
        look, whole = asyncio.run(idle_passes(database))
        share, postgres_share = asyncio.run(idle_shares(database, Path(directory) / "idle.log", arguments.idle_seconds))
    ratios = [one / other for one, other in zip(sealed.rates, alone.rates, strict=True)]
    measured = (rate, cpu, look, whole, share, postgres_share)
    came = Sealed(median(alone.rates), median(sealed.rates), ratios, arguments.backlog, *measured)
    sys.stdout.write(msgspec.json.encode(came).decode() + "\n" if arguments.json else _text(came))


def _text(came: Sealed) -> str:
    return (
        f"appends with a sealer beside them: {median(came.ratios):.2f} of those without"
        f" ({min(came.ratios):.2f}-{max(came.ratios):.2f}; {came.appends_sealed:,.0f} and {came.appends_alone:,.0f}"
        " a second; wanted >= 0.90)\n"
        f"a backlog of {came.backlog:,}: {came.seal_rate:,.0f} events a second,"
        f" {came.seal_rate / came.appends_alone:.0f} times the rate of appends;"
        f" {came.seal_cpu_microseconds:.1f} us of the sealer's processor time each\n"
        f"nothing to do: a look takes {came.idle_look_ms:.2f} ms, ten times a second, and a pass that is written down"
        f" {came.idle_pass_ms:.2f} ms, once a second: {100 * came.idle_core_share:.1f} % of a core, and"
        f" {100 * came.idle_postgres_core_share:.1f} % for its session of Postgres\n"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench.seal", description=__doc__.splitlines()[0])
    parser.add_argument("--backlog", type=int, default=1_000_000, help="how many events wait for the sealer")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a round of appends lasts")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds without and with a sealer")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--json", action="store_true", help="print plain values")
    parser.add_argument("--quick", action="store_true", help="only see that it runs: its figures say nothing")
    arguments = parser.parse_args()
    arguments.tokens, arguments.idle_seconds = TOKENS, IDLE_SECONDS
    if arguments.quick:
        arguments.backlog, arguments.seconds, arguments.rounds, arguments.connections = 10_000, 0.3, 1, 8
        arguments.tokens, arguments.idle_seconds = 2_000, 1.0
    return arguments


if __name__ == "__main__":
    main()
