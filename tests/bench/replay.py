"""Measures how fast one API process replays an account's log over HTTP, and whether its memory grows.

    python3 shared/boot.py run python -m tests.bench.replay                  two logs, the longer of 200,000 events
    python3 shared/boot.py run python -m tests.bench.replay --events 1000000

One reader takes the lines as they come and counts them, without a look inside. The limit beside it is a reader who asks
Postgres for the same rows in the same windows and does nothing with them. Reader, API and Postgres share this machine.
"""

import argparse
import asyncio
import sys
import tempfile
import zlib
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from uuid import UUID

import asyncpg
import msgspec
from aiohttp import ClientSession

from counterfoil.postgres.sealing import Sealing, connect_sealer
from counterfoil_dev.postgres import Database, embedded_postgres
from counterfoil_dev.state import State

from .followers import account_of, session_of, write
from .load import HOST
from .sample import secret
from .stage import Server, Stage

_WANTED = 20_000
_TOKENS = 2_000
_ROWS = """
select s.account_pos, e.entry, e.private, e.salt
  from sealed s
  join event e on (e.account_id, e.subject_id, e.version) = (s.account_id, s.subject_id, s.version)
 where s.account_id = $1 and s.account_pos > $2
 order by s.account_pos
 limit 1000"""


@dataclass(frozen=True, slots=True)
class Figures:
    """The result; rates are events a second."""

    events: int
    plain_rate: float
    gzip_rate: float
    gzip_share_of_bytes: float
    """The share of the plain answer's bytes."""
    bare_rate: float
    of_bare: float
    of_wanted: float
    peak_mb_of_a_quarter: float
    peak_mb: float


async def figures_of(server: Server, events: int) -> Figures:
    """Replay a quarter of the log, then all of it, plain and with gzip; then read the rows from Postgres."""
    account = await account_of(server.database)
    url = f"http://{HOST}:{server.port}/v1/events"
    async with session_of(f"Bearer {secret(0).plain}") as session:
        await _grown(server.database, account, events // 4)
        await _replayed(session, url, "identity")
        quarter = _peak_mb(server.process.pid)
        await _grown(server.database, account, events - events // 4)
        lines, seconds, length = await _replayed(session, url, "identity")
        packed_lines, packed_seconds, packed_length = await _replayed(session, url, "gzip")
    bare = await _bare_rate(server.database, account)
    return Figures(
        events=lines, plain_rate=lines / seconds, gzip_rate=packed_lines / packed_seconds,
        gzip_share_of_bytes=packed_length / length, bare_rate=bare, of_bare=lines / seconds / bare,
        of_wanted=lines / seconds / _WANTED, peak_mb_of_a_quarter=quarter, peak_mb=_peak_mb(server.process.pid),
    )  # fmt: skip


async def _grown(database: Database, account: UUID, events: int) -> None:
    """Insert about this many events, and seal them."""
    while events > 0:
        events -= await write(database.owner_url, account, rate=min(events, 40_000), seconds=1)
    connection = await connect_sealer(database.app_url)
    sealing = Sealing(connection)
    while not (await sealing.step()).finished:
        pass
    await connection.close()


async def _replayed(session: ClientSession, url: str, coding: str) -> tuple[int, float, int]:
    """Return the number of lines, the seconds, and the bytes on the wire."""
    began, length, lines = monotonic(), 0, 0
    unpack = zlib.decompressobj(wbits=31).decompress if coding == "gzip" else bytes
    async with session.get(url, headers={"Accept-Encoding": coding}, auto_decompress=False) as answer:
        answer.raise_for_status()
        head = int(answer.headers["Log-Head"])
        async for chunk in answer.content.iter_any():
            length += len(chunk)
            lines += unpack(chunk).count(b"\n")
    if lines != head:
        raise SystemExit(f"{lines} lines came of a log that ends at {head}")
    return lines, monotonic() - began, length


async def _bare_rate(database: Database, account: UUID) -> float:
    connection = await asyncpg.connect(database.owner_url)
    try:
        await connection.execute("analyze event; analyze sealed")
        after, began = 0, monotonic()
        while rows := await connection.fetch(_ROWS, account, after):
            after = rows[-1]["account_pos"]
        return after / (monotonic() - began)
    finally:
        await connection.close()


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Build the stage, measure, and print the result."""
    parser = argparse.ArgumentParser(prog="tests.bench.replay", description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=200_000, help="about how many, in the longer log")
    parser.add_argument("--json", action="store_true", help="print plain values")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cf-replay-", dir="/tmp") as directory, ExitStack() as ending:
        postgres = ending.enter_context(embedded_postgres(State.at(Path(directory))))
        server = Stage(postgres, Path(directory), ending).server("postgres", _TOKENS)
        found = asyncio.run(figures_of(server, arguments.events))
    sys.stdout.write(msgspec.json.encode(asdict(found)).decode() + "\n" if arguments.json else _text(found))


def _text(found: Figures) -> str:
    return (
        f"{found.events:,} events: {found.plain_rate:,.0f} a second over HTTP, {found.of_wanted:.2f} of the"
        f" {_WANTED:,} that are wanted, {found.of_bare:.2f} of reading the rows alone ({found.bare_rate:,.0f})\n"
        f"with gzip: {found.gzip_rate:,.0f} a second, in {100 * found.gzip_share_of_bytes:.0f} % of the bytes (events"
        " much alike)\n"
        f"memory of the API process at its highest: {found.peak_mb:.0f} MB, and {found.peak_mb_of_a_quarter:.0f} MB"
        " after a quarter of the log\n"
    )


if __name__ == "__main__":
    main()
