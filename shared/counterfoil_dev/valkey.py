"""A Valkey server on this machine, behind a 0700 unix socket, with its data on disk."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from counterfoil_dev.binaries import valkey_program
from counterfoil_dev.child import Child
from counterfoil_dev.state import State


@dataclass(frozen=True, slots=True)
class Valkey:
    """A running server: its process and its socket."""

    child: Child
    path: Path

    @property
    def url(self) -> str:
        """The address for redis-py."""
        return self.database(0)

    def database(self, number: int) -> str:
        """Return the address of one of its databases for redis-py."""
        return f"unix://{quote(str(self.path), safe='/')}?db={number}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.child.start()
        self.child.wait_until(self.ready)

    def ready(self) -> bool:
        """Return whether it answers PING, which it does not while it loads its data."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self.path))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False


@contextmanager
def embedded_valkey(state: State) -> Iterator[Valkey]:
    """Run a server with its data in this state."""
    program, data = valkey_program(state), state.data("valkey")
    with state.sockets("valkey") as sockets:
        path = sockets / "valkey.sock"
        server = Valkey(
            child=Child(
                name="valkey",
                command=_command(program, data=data, path=path),
                environment={"LC_ALL": "C"},
                log=state.logs / "valkey.log",
                pid_file=state.pids / "valkey.pid",
                user=state.user,
            ),
            path=path,
        )
        try:
            server.start()
            yield server
        finally:
            server.child.stop()


def _command(program: Path, *, data: Path, path: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [str(program), *(word for name, value in options.items() for word in (f"--{name}", value))]
