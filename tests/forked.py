"""Processes of our programs, forked from one that has loaded them: loading takes a second of a processor each time."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any

_LOADED = get_context("forkserver")
_LOADED.set_forkserver_preload(
    ["counterfoil.cli.command_line", "counterfoil_api.main", "counterfoil_worker.main", "counterfoil.uses.seal_log"]
)


class Forked:
    """A process that calls a function; it is asked and ended as a `subprocess.Popen` is."""

    def __init__(self, function: Callable[..., None], *arguments: Any) -> None:
        self._process = _LOADED.Process(target=function, args=arguments)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, seconds: float | None = None) -> int:
        """Return its exit code when it has ended."""
        self._process.join(seconds)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(str(self._process), seconds or 0)
        return code


def run_script(script: str, environment: Mapping[str, str], log: Path) -> Forked:
    """Run a Python script that appends what it prints to `log`."""
    return Forked(_run, script, dict(environment), log)


def _run(script: str, environment: Mapping[str, str], log: Path) -> None:
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    become(environment)
    exec(script, {"__name__": "__main__"})


def become(environment: Mapping[str, str]) -> None:
    """Take over this environment instead of the one of the process that was forked."""
    os.environ.clear()
    os.environ.update(environment)
