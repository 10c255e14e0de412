"""The whole service: servers, migrations, the first account, and our processes, which are kept alive."""

import asyncio
import http.client
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from counterfoil import private_files
from counterfoil.postgres.migrate import migrate
from counterfoil_dev.child import Child, ChildFailed
from counterfoil_dev.keeper import Keeper
from counterfoil_dev.keys import secret_environment
from counterfoil_dev.postgres import APPLICATION, Postgres, embedded_postgres
from counterfoil_dev.state import State
from counterfoil_dev.valkey import Valkey, embedded_valkey

_HOST = "127.0.0.1"


class PortTaken(Exception):  # noqa: N818 - named as a message
    """Another program listens on this port."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running service with its servers."""

    state: State
    url: str
    keepers: tuple[Keeper, ...]

    def keep_alive(self) -> None:
        """Restart every process that dies, until an exception, such as the one that a signal raises, ends it."""
        while True:
            for keeper in self.keepers:
                keeper.look()
            time.sleep(0.1)


@contextmanager
def running_stack(state: State, *, port: int, report: Callable[[str], None] = print) -> Iterator[Stack]:
    """Lock the state and run everything in it; stop everything at the end."""
    with ExitStack() as ending:
        ending.enter_context(state.locked())
        url = f"http://{_HOST}:{_free_port(port)}"
        report("starting Postgres and Valkey")
        postgres = ending.enter_context(embedded_postgres(state))
        valkey = ending.enter_context(embedded_valkey(state))
        environment = _environment(state, url=url, postgres=postgres, valkey=valkey)
        for name in asyncio.run(migrate(postgres.database().owner_url, app_role=APPLICATION)):
            report(f"migrated {name}")
        _create_first_account(state, environment=environment, url=url)
        report("starting API, worker and sealer")
        processes = [_process(state, name, environment) for name in ("api", "worker", "sealer")]
        ending.callback(_stop, processes)
        for process in processes:
            process.start()
        processes[0].wait_until(lambda: _answers(url), timeout_seconds=60)
        ready = state.pids / "url"
        ready.write_text(url)
        ending.callback(ready.unlink, missing_ok=True)
        yield Stack(state, url, _keepers(postgres, valkey, processes, report))


def _environment(state: State, *, url: str, postgres: Postgres, valkey: Valkey) -> dict[str, str]:
    """Return the environment of our processes, and write it to a file for an operator's shell."""
    metrics = state.root / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)  # counts of processes that have ended
    metrics.mkdir(mode=0o700)
    ours = {
        **secret_environment(state.root / "secrets.env"),
        "DATABASE_URL": postgres.database().app_url,
        "MIGRATE_DATABASE_URL": postgres.database().owner_url,
        "REDIS_URL": valkey.url,
        "LIMITS_REDIS_URL": valkey.database(1),
        "PUBLIC_URL": url,
        "API_HOST": _HOST,
        "API_PORT": url.rpartition(":")[2],
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
    }
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in ours.items())
    private_files.write(state.service_environment, lines.encode())
    return {**os.environ, **ours}


def _create_first_account(state: State, *, environment: dict[str, str], url: str) -> None:
    """Create the first account with examples for vendors' clients, once; later only update its address."""
    file = state.credentials
    if not file.exists():
        command = (_counterfoil(), "account", "create", "first", "--admin-email", "admin@counterfoil.example")
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, "--credentials", file, "--with-examples"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ChildFailed(f"The first account could not be created:\n{done.stderr or done.stdout}")
    credentials = json.loads(file.read_text(encoding="utf-8"))
    if credentials["url"] != url:
        private_files.write(file, json.dumps({**credentials, "url": url}, indent=2).encode() + b"\n")


def _process(state: State, name: str, environment: dict[str, str]) -> Child:
    return Child(
        name=name,
        command=[str(_counterfoil()), name],
        environment=environment,
        log=state.logs / f"{name}.log",
        pid_file=state.pids / f"{name}.pid",
    )


def _counterfoil() -> Path:
    """Return the command of our own environment, not of PATH."""
    return Path(sys.executable).with_name("counterfoil")


def _keepers(
    postgres: Postgres, valkey: Valkey, processes: list[Child], report: Callable[[str], None]
) -> tuple[Keeper, ...]:
    # A restart does not wait until a server is ready: its clients retry.
    return (
        Keeper(postgres.child, postgres.begin, report),
        Keeper(valkey.child, valkey.child.start, report),
        *(Keeper(process, process.start, report) for process in processes),
    )


def _stop(processes: list[Child]) -> None:
    """Signal all processes before waiting for the first, so that they end at the same time."""
    for process in processes:
        process.ask_to_end()
    for process in processes:
        process.stop()


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise PortTaken(
                f"Port {port} cannot be used: {error.strerror}. Choose another with --port, or any with --port 0."
            ) from None
        found: int = probe.getsockname()[1]
        return found


def _answers(url: str) -> bool:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
