"""A child process that ends with its supervisor; the next supervisor ends one that survived."""

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


class ChildFailed(Exception):  # noqa: N818 - named as a message
    """A process did not start; the message ends with the last lines of its log."""


@dataclass(slots=True, kw_only=True)
class Child:
    """A command that can be started, watched and stopped."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    pid_file: Path
    user: ServerUser | None = None
    ending: signal.Signals = signal.SIGTERM
    patience_seconds: float = 20.0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    asked_to_end: bool = field(default=False, init=False)
    log_begins: int = field(default=0, init=False)

    def start(self) -> None:
        """Start the command in a session of its own, so that a terminal's Ctrl-C reaches only the supervisor."""
        end_leftover(self.pid_file, ending=self.ending)
        self.asked_to_end = False
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
                preexec_fn=_end_with_parent(self.ending),  # noqa: PLW1509 - a single system call, no locks
                **(self.user.run_as if self.user else {}),
            )
        half = self.pid_file.with_suffix(".half")
        half.write_text(f"{self.process.pid} {_birth(self.process.pid)}\n")
        half.rename(self.pid_file)  # a reader finds the old file or the new one

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
        """Send the signal once, and do not wait: a second signal makes some programs abort their work."""
        if self.process is not None and self.alive and not self.asked_to_end:
            self.asked_to_end = True
            self.process.send_signal(self.ending)

    def stop(self) -> None:
        """Ask it to end, kill it after a while, and leave no process of its group behind."""
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
        """Kill it without a cleanup, to simulate a crash."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def sweep(self) -> None:
        """Kill the remaining processes of a group whose leader is dead."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                return

    @property
    def end(self) -> str:
        """Describe how its last run ended."""
        status = self.process.poll() if self.process else None
        if status is None:
            return "is running"
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    def trim_log(self) -> None:
        """Copy a long log to another file and truncate it in place, because its writer keeps it open."""
        if self.log.exists() and self.log.stat().st_size > _LONGEST_LOG_BYTES:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)

    def wait_until(self, ready: Callable[[], bool], *, timeout_seconds: float = 30.0) -> None:
        """Return once it is ready; raise `ChildFailed` if it ends first or takes too long."""
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            if not self.alive:
                raise ChildFailed(f"{self.name} ended at once:\n{self.last_lines()}")
            if time.monotonic() > deadline:
                raise ChildFailed(f"{self.name} is not ready after {timeout_seconds:.0f} s:\n{self.last_lines()}")
            time.sleep(0.02)

    def last_lines(self) -> str:
        """Return the last lines of its last run's log."""
        written = self.log.read_bytes()[self.log_begins :]
        return "\n".join(written.decode(errors="replace").splitlines()[-20:])


def end_leftover(pid_file: Path, *, ending: signal.Signals, patience_seconds: float = 10.0) -> None:
    """End the process that an earlier supervisor wrote into this file, if it is still the same process."""
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
    """Return when a process was started, or "" if it has ended. With its id, this identifies the process."""
    if _PROC:
        try:
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return "" if after_name[0] in "ZX" else after_name[19]
    return _listed("lstart", pid)


def command_of(pid: int) -> str:
    """Return the command line of a process, or "" if there is none."""
    if _PROC:
        try:
            return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
        except (FileNotFoundError, ProcessLookupError):
            return ""
    return _listed("command", pid)


def _listed(column: str, pid: int) -> str:
    """Return what ps prints about a process."""
    listed = subprocess.run(  # noqa: S603 - a constant command
        ["/bin/ps", "-ww", "-o", f"{column}=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()


def _end_with_parent(ending: signal.Signals) -> Callable[[], None] | None:
    """Return the function that the child calls between fork and exec, so that the kernel ends it with its parent.

    It runs after the change of user, which would undo it. Only Linux can do this; on other systems `end_leftover` ends
    the process later.
    """
    if _LIBC is None:
        return None
    prctl, parent = _LIBC.prctl, os.getpid()

    def follow() -> None:
        prctl(_PR_SET_PDEATHSIG, int(ending))
        if os.getppid() != parent:
            os._exit(1)

    return follow
