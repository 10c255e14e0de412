"""Where everything is kept: one directory, one supervisor at a time."""

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
_SHORT = "/tmp"  # noqa: S108 - where paths are short; what is made there has a name that nobody guesses


class StateInUse(Exception):  # noqa: N818 - a complaint
    """Another supervisor is using this state."""


@dataclass(frozen=True, slots=True)
class State:
    """A state directory, and the place beside it that the servers' own account can reach."""

    root: Path
    home: Path
    user: ServerUser

    @classmethod
    def at(cls, root: Path) -> "State":
        """The state under this directory, made if it is not there."""
        root = root.absolute()
        root.mkdir(parents=True, exist_ok=True)
        # Others may pass through, not look around: the servers may run as another account.
        root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        user = server_user()
        return cls(root=root, home=root if user.can_enter(root) else _elsewhere(root), user=user)

    @property
    def logs(self) -> Path:
        """What each process wrote."""
        directory = self.root / "log"
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory

    @property
    def pids(self) -> Path:
        """Who was started, for the next supervisor to clear away should this one be killed."""
        directory = self.root / "run"
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory

    def data(self, name: str) -> Path:
        """A directory for one server's data, readable by that server alone."""
        return self.user.own(self.home / name)

    def discard(self) -> None:
        """Remove all of it, and what is kept elsewhere."""
        for directory in {self.root, self.home}:
            shutil.rmtree(directory, ignore_errors=True)

    @contextmanager
    def sockets(self, name: str) -> Iterator[Path]:
        """A 0700 directory for unix sockets; a short one elsewhere if the state's own path is too long."""
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
        """Hold the state, or raise `StateInUse`; the lock dies with its process, however it dies."""
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
    """A state for as long as the `with` lasts; its path is short, and the servers' account can reach it."""
    state = State.at(Path(tempfile.mkdtemp(prefix="cf-", dir=place or _SHORT)))
    try:
        yield state
    finally:
        state.discard()


def _elsewhere(root: Path) -> Path:
    """A place outside any private home, remembered in the state so that it is found again."""
    note = root / "servers-are-in"
    if note.exists() and (place := Path(note.read_text().strip())).is_dir():
        return place
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
    place = Path(tempfile.mkdtemp(prefix=f"counterfoil-{digest}-", dir="/var/tmp"))
    place.chmod(0o711)
    (place / "belongs-to").write_text(f"{root}\n")
    note.write_text(f"{place}\n")
    return place
