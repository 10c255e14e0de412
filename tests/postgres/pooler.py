"""A real PgBouncer before the tests' Postgres."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from counterfoil_dev.child import Child
from counterfoil_dev.postgres import APPLICATION, OWNER, Database, Postgres
from counterfoil_dev.state import State

_PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
_PORT = 6432

needs_pgbouncer = pytest.mark.skipif(_PROGRAM is None, reason="no pgbouncer on this machine: install one to run these")


@dataclass(frozen=True, slots=True)
class Pooler:
    """A running PgBouncer, and how to reach databases through it."""

    child: Child
    sockets: Path

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='/')}&port={_PORT}"

    def before(self, database: Database) -> Database:
        """The URL of the same database through the pooler."""
        return Database(
            database.name,
            owner_url=self.url(OWNER, database.name),
            app_url=self.url(APPLICATION, database.name),
        )


@contextmanager
def pgbouncer(state: State, postgres: Postgres, *, mode: str, **more: str) -> Iterator[Pooler]:
    """A PgBouncer in this pool mode, with its files under the state directory, and with further settings."""
    assert _PROGRAM is not None
    with state.sockets("pgbouncer") as sockets:
        home = state.data("pgbouncer")
        users = state.user.own(home) / "users.txt"
        users.write_text("".join(f'"{name}" ""\n' for name in (OWNER, APPLICATION, "postgres")))
        settings = {
            "unix_socket_dir": str(sockets), "listen_port": str(_PORT), "auth_type": "trust", "auth_file": str(users),
            "pool_mode": mode, "default_pool_size": "40", "max_client_conn": "200", "admin_users": "postgres", **more,
        }  # fmt: skip
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        configuration = home / "pgbouncer.ini"
        configuration.write_text(f"[databases]\n* = host={postgres.sockets}\n[pgbouncer]\n{''.join(lines)}")
        for path in (users, configuration):
            path.chmod(0o644)
        child = Child(
            name="pgbouncer", command=[_PROGRAM, str(configuration)], environment={"LC_ALL": "C"},
            log=state.logs / "pgbouncer.log", pid_file=state.pids / "pgbouncer.pid", user=state.user,
        )  # fmt: skip
        try:
            child.start()
            child.wait_until((sockets / f".s.PGSQL.{_PORT}").exists)
            yield Pooler(child, sockets)
        finally:
            child.stop()
