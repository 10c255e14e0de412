"""The state directory: all data of one `up`, used by one supervisor at a time."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from counterfoil_dev.identity import ServerUser, server_user

# sun_path holds 108 bytes on Linux and 104 elsewhere; this leaves room for the longest socket name.
_LONGEST_SOCKET_DIRECTORY = 80
_SHORT = "/tmp"  # noqa: S108 - paths are short here, and names are random


class StateInUse(Exception):  # noqa: N818 - named as a message
    """Another supervisor is using this state."""


@dataclass(frozen=True, slots=True)
class State:
    """A state directory, and the directory that the servers' account can reach."""

    root: Path
    home: Path
    user: ServerUser

    @classmethod
    def at(cls, root: Path) -> "State":
        """Return the state in this directory; create it if it is missing."""
        root = root.absolute()
        root.mkdir(parents=True, exist_ok=True)
        # Execute permission without read: the servers may run as another account.
        root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        user = server_user()
        return cls(root=root, home=root if user.can_enter(root) else _elsewhere(root), user=user)

    @property
    def logs(self) -> Path:
        """The directory of the logs."""
        directory = self.root / "log"
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory

    @property
    def pids(self) -> Path:
        """The directory of the process ids, by which the next supervisor ends processes of a killed one."""
        directory = self.root / "run"
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory

    @property
    def credentials(self) -> Path:
        """The file with the credentials of the first account."""
        return self.root / "credentials.json"

    @property
    def service_environment(self) -> Path:
        """The file with the environment of the processes, which a shell can read."""
        return self.root / "service.env"

    def data(self, name: str) -> Path:
        """Return the directory for one server's data, which only that server can read."""
        return self.user.own(self.home / name)

    def discard(self) -> None:
        """Remove all data of this state."""
        for directory in {self.root, self.home}:
            shutil.rmtree(directory, ignore_errors=True)

    @contextmanager
    def sockets(self, name: str) -> Iterator[Path]:
        """Make a 0700 directory for unix sockets, outside the state if the state's path is too long."""
        directory = self.home / "sockets" / name
        if len(os.fsencode(directory)) <= _LONGEST_SOCKET_DIRECTORY:
            directory.parent.mkdir(mode=0o711, exist_ok=True)
            yield self.user.own(directory)
            return
        short = Path(tempfile.mkdtemp(prefix="cf-", dir=_SHORT))
        try:
            yield self.user.own(short)
        finally:
            shutil.rmtree(short, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the state, or raise `StateInUse`; the lock ends with the process."""
        with (self.root / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise StateInUse(
                    f"{self.root} is in use by process {lock.read().strip() or '?'}. "
                    "Stop that one first, or give another directory with --state."
                ) from None
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield


@contextmanager
def temporary_state(place: str | None = None) -> Iterator[State]:
    """Make a state that is removed at the end; its path is short, and the servers' account can reach it."""
    state = State.at(Path(tempfile.mkdtemp(prefix="cf-", dir=place or _SHORT)))
    try:
        yield state
    finally:
        state.discard()


def _elsewhere(root: Path) -> Path:
    """Return a directory outside any private home; a file in the state names it."""
    note = root / "servers-are-in"
    if note.exists() and (place := Path(note.read_text().strip())).is_dir():
        return place
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
    place = Path(tempfile.mkdtemp(prefix=f"counterfoil-{digest}-", dir="/var/tmp"))
    place.chmod(0o711)
    (place / "belongs-to").write_text(f"{root}\n")
    note.write_text(f"{place}\n")
    return place
