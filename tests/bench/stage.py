"""What a bench runs on: one Postgres, a database for each size, API processes, and the process that makes the load."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.request import urlopen

import asyncpg
import msgspec

from counterfoil.postgres.migrate import migrate
from counterfoil_dev.postgres import APPLICATION, OWNER, Database, Postgres

from .fill import fill
from .load import HOST, Round, Tally
from .sample import ENVIRONMENT, digest

Storage = Literal["postgres", "memory"]
_TOP = Path(__file__).parents[2]
_HOLD = """
select
  from token t
  join secret s on (s.account_id, s.token_id) = (t.account_id, t.token_id)
 where s.digest = $1
   for update of t"""


@dataclass(frozen=True, slots=True)
class Spent:
    """What an API process has used since its start, or between two measurements."""

    commands: float = 0
    transactions: float = 0
    cpu_seconds: float = 0

    def __sub__(self, earlier: "Spent") -> "Spent":
        return Spent(
            self.commands - earlier.commands,
            self.transactions - earlier.transactions,
            self.cpu_seconds - earlier.cpu_seconds,
        )


@dataclass(frozen=True, slots=True)
class Server:
    """One API process and its database."""

    process: subprocess.Popen[bytes]
    port: int
    database: Database
    tokens: int

    def spent(self) -> Spent:
        """Return its metrics: committed commands, transactions, and processor time."""
        with urlopen(f"http://{HOST}:{self.port}/metrics", timeout=10) as reply:
            lines = dict(line.rsplit(" ", 1) for line in reply.read().decode().splitlines() if line[0] != "#")
        return Spent(
            float(lines["counterfoil_batch_jobs_sum"]),
            float(lines["counterfoil_batch_jobs_count"]),
            float(lines.get("process_cpu_seconds_total", "nan")),  # only on Linux
        )


@dataclass(slots=True)
class Stage:
    """Builds databases and processes at their first use, and ends all of them at its end."""

    postgres: Postgres
    logs: Path
    ending: ExitStack
    databases: dict[int, Database] = field(default_factory=dict)
    servers: dict[tuple[Storage, int], Server] = field(default_factory=dict)
    load: subprocess.Popen[bytes] | None = None

    def server(self, storage: Storage, tokens: int) -> Server:
        """Return the API process with this storage and number of tokens."""
        if (storage, tokens) not in self.servers:
            self.servers[storage, tokens] = self._started(storage, tokens)
        return self.servers[storage, tokens]

    def another(self, storage: Storage, tokens: int) -> Server:
        """Return another API process on the same database."""
        return self._started(storage, tokens)

    def play(self, this: Round) -> Tally:
        """Run a round in the load process."""
        if self.load is None:
            self.load = self._run("load", {}, stdin=subprocess.PIPE)
        assert self.load.stdin is not None
        self.load.stdin.write(msgspec.json.encode(this) + b"\n")
        self.load.stdin.flush()
        return msgspec.json.decode(self._metrics(self.load), type=Tally)

    def _started(self, storage: Storage, tokens: int) -> Server:
        database = self.databases.get(tokens) or self._filled(tokens)
        environment = {
            **ENVIRONMENT,
            "DATABASE_URL": database.app_url,
            "REDIS_URL": "unix:///nowhere",
            "LOG_FORMAT": "json",
        }
        process = self._run("serve", environment, storage)
        return Server(process, int(self._metrics(process)), database, tokens)

    def _filled(self, tokens: int) -> Database:
        name = f"bench_{tokens}"
        self.postgres.run(f"create database {name} owner {OWNER};")
        database = self.databases[tokens] = self.postgres.database(name)
        asyncio.run(migrate(database.owner_url, app_role=APPLICATION))
        asyncio.run(fill(database, tokens=tokens))
        self.postgres.run("checkpoint")
        return database

    def _metrics(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None
        if line := process.stdout.readline():
            return line
        logs = "\n".join(log.read_text(errors="replace")[-6_000:] for log in self.logs.glob("*.log"))
        raise SystemExit(f"A process of the bench ended:\n{logs}")

    def _run(
        self, module: str, environment: dict[str, str], *arguments: str, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        log = self.ending.enter_context((self.logs / f"{'-'.join((module, *arguments))}.log").open("ab"))
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.{module}", *arguments],
            cwd=_TOP,
            env={**os.environ, **environment},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        self.ending.callback(_stop, process)
        return process


@contextmanager
def held(server: Server, n: int) -> Iterator[None]:
    """Lock the row of the n-th token in another transaction."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(server.database.owner_url))
        try:
            runner.run(connection.execute("begin"))
            runner.run(connection.execute(_HOLD, digest(n)))
            yield
        finally:
            runner.run(connection.close())


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
