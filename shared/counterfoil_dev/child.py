"""One process on a leash: it goes when we go, and its leftovers are found by whoever comes after us."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from counterfoil_dev.identity import ServerUser

_PR_SET_PDEATHSIG = 1
_PROC = Path("/proc/self/stat").exists()
_LONGEST_LOG_BYTES = 64 * 1024 * 1024
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ChildFailed(Exception):  # noqa: N818 - a complaint
    """A process did not come up; the message ends with the last lines that it wrote."""


@dataclass(slots=True, kw_only=True)
class Child:
    """A command that can be started, watched and ended."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    pid_file: Path
    user: ServerUser | None = None
    ending: signal.Signals = signal.SIGTERM
    patience_seconds: float = 20.0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    asked: bool = field(default=False, init=False)
    log_begins: int = field(default=0, init=False)

    def start(self) -> None:
        """Start the command in a session of its own, so that a terminal's Ctrl-C reaches only us."""
        end_leftover(self.pid_file, ending=self.ending)
        self.asked = False
        self.trim_log()
        with self.log.open("ab") as log:
            self.log_begins = log.tell()
            self.process = subprocess.Popen(  # noqa: S603 - our own commands
                self.command,
                cwd="/",
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_leash(self.ending),  # noqa: PLW1509 - a single system call, no locks
                **(self.user.run_as if self.user else {}),
            )
        half = self.pid_file.with_suffix(".half")
        half.write_text(f"{self.process.pid} {_birth(self.process.pid)}\n")
        half.rename(self.pid_file)  # whoever reads it finds the old one or the new one

    @property
    def alive(self) -> bool:
        """Whether it is running."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The process id; of the last run, if it has ended."""
        if self.process is None:
            raise ChildFailed(f"{self.name} was never started")
        return self.process.pid

    def ask_to_end(self) -> None:
        """Ask, and do not wait. Only once: some take a second signal for impatience and drop their work."""
        if self.process is not None and self.alive and not self.asked:
            self.asked = True
            self.process.send_signal(self.ending)

    def stop(self) -> None:
        """Ask it to end, insist after a while, and leave nobody of its group behind."""
        if self.process is None:
            return
        if self.alive:
            self.ask_to_end()
            try:
                self.process.wait(self.patience_seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.sweep()
        self.pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End it without notice, as a crash would; nothing is tidied up."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def sweep(self) -> None:
        """End what a leader that died left behind in its group."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                return

    @property
    def end(self) -> str:
        """How its last run ended, in words."""
        status = self.process.poll() if self.process else None
        if status is None:
            return "is running"
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    def trim_log(self) -> None:
        """Set a long log aside. It is copied and emptied in place, for its writer keeps it open."""
        if self.log.exists() and self.log.stat().st_size > _LONGEST_LOG_BYTES:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)

    def wait_until(self, ready: Callable[[], bool], *, timeout_seconds: float = 30.0) -> None:
        """Return once it is ready; raise `ChildFailed` if it ends first or takes too long."""
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            if not self.alive:
                raise ChildFailed(f"{self.name} ended at once:\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise ChildFailed(f"{self.name} is not ready after {timeout_seconds:.0f} s:\n{self.last_words()}")
            time.sleep(0.02)

    def last_words(self) -> str:
        """The end of what its last run wrote."""
        written = self.log.read_bytes()[self.log_begins :]
        return "\n".join(written.decode(errors="replace").splitlines()[-20:])


def end_leftover(pid_file: Path, *, ending: signal.Signals, patience_seconds: float = 10.0) -> None:
    """End the process that an earlier supervisor noted here, if it is still that very process."""
    try:
        pid, birth = pid_file.read_text().split(maxsplit=1)
    except (FileNotFoundError, ValueError):
        return
    deadline = time.monotonic() + patience_seconds
    signal_now = ending
    while _birth(int(pid)) == birth.strip():
        _signal(int(pid), signal_now)
        time.sleep(0.05)
        if time.monotonic() > deadline:
            signal_now = signal.SIGKILL


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _birth(pid: int) -> str:
    """When a process was started, which with its id makes it unmistakable; empty once it has ended."""
    if _PROC:
        try:
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return "" if after_name[0] in "ZX" else after_name[19]
    return _listed("lstart", pid)


def command_of(pid: int) -> str:
    """The command line of a process; empty if there is no such process."""
    if _PROC:
        try:
            return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
        except (FileNotFoundError, ProcessLookupError):
            return ""
    return _listed("command", pid)


def _listed(column: str, pid: int) -> str:
    """What ps says of a process."""
    listed = subprocess.run(  # noqa: S603 - a constant command
        ["/bin/ps", "-ww", "-o", f"{column}=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()


def _leash(ending: signal.Signals) -> Callable[[], None] | None:
    """What the child does between fork and exec: ask the kernel to be ended when its parent dies.

    It comes after the change of user, which would undo it. Only Linux can do this; elsewhere
    `end_leftover` is what clears away.
    """
    if _LIBC is None:
        return None
    prctl, parent = _LIBC.prctl, os.getpid()

    def follow() -> None:
        prctl(_PR_SET_PDEATHSIG, int(ending))
        if os.getppid() != parent:
            os._exit(1)

    return follow
