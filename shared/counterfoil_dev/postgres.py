"""A Postgres server on this machine: durable, behind a 0700 unix socket, with an owner and an application role."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from counterfoil.postgres.grants import READER
from counterfoil_dev.binaries import postgres_programs
from counterfoil_dev.child import Child, ChildFailed, command_of
from counterfoil_dev.state import State

OWNER, APPLICATION, DATABASE = "counterfoil_owner", "counterfoil_app", "counterfoil"

_FIRST_WITH_BUILTIN_LOCALES = 17
_OLD_SERVER = re.compile(r"pre-existing shared memory block|lock file .* already exists")
_OLD_SERVER_SECONDS = 30.0

_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # They keep the promise that an acknowledged event is on disk. They are the defaults of Postgres.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}

_ROLES = f"""
select 'create role {OWNER} login'
 where not exists (select from pg_roles where rolname = '{OWNER}') \\gexec
select 'create role {APPLICATION} login'
 where not exists (select from pg_roles where rolname = '{APPLICATION}') \\gexec
select 'create role {READER} nologin'
 where not exists (select from pg_roles where rolname = '{READER}') \\gexec
select 'grant {READER} to {APPLICATION}'
    || case when current_setting('server_version_num') >= '160000' then ' with inherit false, set true' else '' end
 where not pg_has_role('{APPLICATION}', '{READER}', 'member') \\gexec
select 'create database {DATABASE} owner {OWNER}'
 where not exists (select from pg_database where datname = '{DATABASE}') \\gexec
"""


@dataclass(frozen=True, slots=True)
class Database:
    """One database of a server, and its address for each of the two roles."""

    name: str
    owner_url: str
    app_url: str


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server: its process and its sockets."""

    child: Child
    programs: Path
    sockets: Path

    def url(self, role: str, database: str) -> str:
        """Return the address of this database for this role."""
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='/')}"

    def database(self, name: str = DATABASE) -> Database:
        """Return a database of this server; by default the one of the service."""
        return Database(name, owner_url=self.url(OWNER, name), app_url=self.url(APPLICATION, name))

    def run(self, sql: str, *, database: str = "postgres") -> str:
        """Run a psql script as the superuser and return its output."""
        done = subprocess.run(  # noqa: S603 - our own binary
            [
                *(self.programs / "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"),
                *("--set=ON_ERROR_STOP=1", f"--host={self.sockets}", "--username=postgres", f"--dbname={database}"),
            ],
            input=sql,
            capture_output=True,
            text=True,
            check=False,
            env=bare_environment(),
        )
        if done.returncode:
            raise ChildFailed(f"psql: {done.stderr.strip()}")
        return done.stdout

    def start(self) -> None:
        """Start it and wait until it accepts connections.

        After a crash Postgres refuses to start until the backends of the old server have ended; this retries.
        """
        deadline = time.monotonic() + _OLD_SERVER_SECONDS
        while True:
            self.begin()
            try:
                return self.child.wait_until(self.ready)
            except ChildFailed as failure:
                self.child.stop()
                if not _OLD_SERVER.search(str(failure)) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def begin(self) -> None:
        """Start it without waiting."""
        _remove_foreign_locks(self._data, self.sockets)
        self.child.start()

    def ready(self) -> bool:
        """Return whether the server is ready, according to its postmaster.pid, as pg_ctl does."""
        lines = _postmaster_file(self._data)
        return len(lines) > 7 and lines[0] == str(self.child.pid) and lines[7].strip() == "ready"

    @property
    def _data(self) -> Path:
        return Path(self.child.command[2])


@contextmanager
def embedded_postgres(state: State, *, options: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """Run a server with its data in this state, and create the roles and the database."""
    programs = postgres_programs(state)
    data = state.data("postgres") / "data"
    _initialise(state, data=data, programs=programs)
    with state.sockets("postgres") as sockets:
        server = Postgres(
            child=Child(
                name="postgres",
                command=_command(programs, data=data, sockets=sockets, options={**_OPTIONS, **(options or {})}),
                environment=bare_environment(),
                log=state.logs / "postgres.log",
                pid_file=state.pids / "postgres.pid",
                user=state.user,
                ending=signal.SIGINT,  # a "fast" shutdown; SIGTERM would wait for every client
            ),
            programs=programs,
            sockets=sockets,
        )
        try:
            server.start()
            server.run(_ROLES)
            yield server
        finally:
            server.child.stop()


def bare_environment() -> dict[str, str]:
    """Return our environment without locale and PG* variables, which would change what Postgres does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}


def _command(programs: Path, *, data: Path, sockets: Path, options: Mapping[str, str]) -> list[str]:
    settings = [f"--{name}={value}" for name, value in options.items()]
    return [str(programs / "postgres"), "-D", str(data), "-k", str(sockets), *settings]


def _initialise(state: State, *, data: Path, programs: Path) -> None:
    """Create the cluster under another name and rename it, so that a killed initdb leaves no incomplete cluster."""
    if data.exists():
        return
    half = data.with_name("half-made")
    shutil.rmtree(half, ignore_errors=True)
    done = subprocess.run(  # noqa: S603 - our own binary
        [
            *(programs / "initdb", "-D", half, "-U", "postgres", "-E", "UTF8", "--no-instructions"),
            *("--auth-local=trust", "--auth-host=scram-sha-256", "--data-checksums", *_locale(programs)),
        ],
        cwd="/",
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=False,
        **state.user.run_as,
    )
    if done.returncode:
        raise ChildFailed(f"initdb: {done.stderr.strip()}")
    half.rename(data)


def _locale(programs: Path) -> list[str]:
    """Return a locale whose sort order does not depend on the system's C library."""
    printed = subprocess.check_output([programs / "postgres", "--version"], text=True)  # noqa: S603 - our own binary
    if int(printed.split()[2].split(".")[0]) >= _FIRST_WITH_BUILTIN_LOCALES:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C"]


def _postmaster_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _remove_foreign_locks(data: Path, sockets: Path) -> None:
    """Remove lock files whose process id now belongs to another program or to a zombie.

    Postgres would take that process for its old server. Postgres itself ignores a lock whose process does not exist.
    """
    for lock in (data / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
        lines = lock.read_text().splitlines() if lock.exists() else []
        # Postgres needs the lock to detect living backends of the old server.
        if lines and _is_foreign(int(lines[0]), data) and not _in_use(data):
            lock.unlink()


def _is_foreign(pid: int, data: Path) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return str(data) not in command_of(pid)


def _in_use(data: Path) -> bool:
    """Return whether any process works in this directory, as every backend does (Linux only)."""
    for process in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if process.readlink() == data:
                return True
        except OSError:
            continue  # the process ended, or belongs to another account
    return False
