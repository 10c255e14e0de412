"""Measures a bulk revocation, compared with revoking tokens one call each.

    python3 shared/boot.py run python -m tests.bench.bulk --tokens 1000000

One API process, one worker process and Postgres, on this machine's disk with fsync on: the break-glass rehearsal.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from aiohttp import ClientSession

from counterfoil_dev.postgres import embedded_postgres
from counterfoil_dev.state import State

from .load import HOST
from .sample import ENVIRONMENT, secret
from .stage import Server, Stage

SINGLE = 2_000
CONNECTIONS = 64
EVERY = {"name": "token *"}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The result: seconds, tokens a second, and the memory that the API process used."""

    tokens: int
    plan_seconds: float
    accept_seconds: float
    job_seconds: float
    job_rate: float
    single_rate: float
    megabytes: float

    @property
    def ratio(self) -> float:
        """The ratio of the rates of the bulk revocation and of single calls."""
        return self.job_rate / self.single_rate


async def rehearse(server: Server, *, single: int) -> Rehearsal:
    """Revoke some tokens one by one, then all others at once."""
    async with ClientSession(f"http://{HOST}:{server.port}") as session:
        session.headers.update({"Authorization": f"Bearer {secret(0).plain}"})
        before = _resident(server)
        took = await _singly(session, range(2, 2 + single))
        plan, planning = await _timed(_post(session, "/v1/revocations/plan", {"filter": EVERY}))
        order = {"filter": EVERY, "plan": plan["plan"], "reason": "a rehearsal"}
        revocation, accepting = await _timed(_post(session, "/v1/revocations", order))
        grown = _resident(server) - before
    revoked, seconds = await _over(server, revocation["id"])
    if revoked != plan["tokens"] or revoked < server.tokens - single:
        raise SystemExit(f"revoked {revoked} of {plan['tokens']}")
    return Rehearsal(plan["tokens"], planning, accepting, seconds, plan["tokens"] / seconds, single / took, grown)


async def _singly(session: ClientSession, numbers: range) -> float:
    waiting = iter(numbers)

    async def caller() -> None:
        for number in waiting:
            await _post(session, f"/v1/tokens/{number}/revoke", {"reason": "one by one"})

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CONNECTIONS)))
    return time.perf_counter() - began


async def _post(session: ClientSession, path: str, body: object) -> Any:
    headers = {"Content-Type": "application/json"}
    async with session.post(path, data=msgspec.json.encode(body), headers=headers) as answer:
        if answer.status not in (200, 201):
            raise SystemExit(f"{path} answers {answer.status}: {await answer.text()}")
        return await answer.json()


async def _timed(call: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    return await call, time.perf_counter() - began


async def _over(server: Server, revocation: str) -> tuple[int, float]:
    connection = await asyncpg.connect(server.database.owner_url)
    try:
        while True:
            row = await connection.fetchrow(
                """
                select details::json ->> 'revoked' as revoked,
                       extract(epoch from (details::json ->> 'ended_at')::timestamptz
                                        - (details::json ->> 'started_at')::timestamptz)::float8 as seconds
                  from subject
                 where subject_id = $1::text::uuid
                   and status = 'finished'""",
                revocation,
            )
            if row is not None:
                return int(row["revoked"]), row["seconds"]
            await asyncio.sleep(0.2)
    finally:
        await connection.close()


def _resident(server: Server) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def worker(server: Server, log: Path) -> Iterator[None]:
    """Run a worker without Redis, which does the work itself."""
    environment = {**os.environ, **ENVIRONMENT, "DATABASE_URL": server.database.app_url, "REDIS_URL": "unix:///nowhere"}
    command = [str(Path(sys.executable).with_name("counterfoil")), "worker"]
    with log.open("wb") as stream, subprocess.Popen(command, env=environment, stdout=stream, stderr=stream) as process:
        try:
            yield
        finally:
            process.terminate()


def main() -> None:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(prog="tests.bench.bulk", description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="print plain values")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cf-bench-", dir="/tmp") as directory, ExitStack() as ending:
        postgres = ending.enter_context(embedded_postgres(State.at(Path(directory))))
        stage = Stage(postgres, Path(directory), ending)
        server = stage.server("postgres", arguments.tokens)
        with worker(server, Path(directory) / "worker.log"):
            came = asyncio.run(rehearse(server, single=min(SINGLE, arguments.tokens // 4)))
    if arguments.json:
        sys.stdout.write(msgspec.json.encode({**_plain(came), "ratio": came.ratio}).decode() + "\n")
        return
    sys.stdout.write(
        f"{came.tokens:,} tokens: looked at in {came.plan_seconds:.1f} s, accepted in {came.accept_seconds:.1f} s,"
        f" revoked in {came.job_seconds:.1f} s ({came.job_rate:,.0f} a second)\n"
        f"one call each, {CONNECTIONS} at a time: {came.single_rate:,.0f} a second; the revocation is {came.ratio:.1f}"
        f" times as fast; the API grew by {came.megabytes:.0f} MB\n"
    )


def _plain(came: Rehearsal) -> dict[str, float]:
    return {name: getattr(came, name) for name in Rehearsal.__slots__}


if __name__ == "__main__":
    main()
