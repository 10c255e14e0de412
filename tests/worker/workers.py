"""Worker processes as in production: start, stop and kill them, and read their logs."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forked import Forked, run_script

_RUN = """
from counterfoil.settings import Settings
from counterfoil_worker.main import run

run(Settings.from_environment(command="worker"))
"""
SWEEP_INTERVAL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """One worker process and its log."""

    process: Forked
    log: Path

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The complete lines of its log so far."""
        whole = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in whole if line.startswith("{") and line.endswith("\n")]

    def said(self, event: str) -> int:
        """How often it logged this event."""
        return sum(line["event"] == event for line in self.lines)

    def wait_until_said(self, event: str, *, times: int = 1, seconds: float = 20) -> None:
        wait_until(lambda: self.said(event) >= times, seconds=seconds, what=self.log.read_text)

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """Kill it without notice."""
        self.process.kill()
        self.process.wait()


def wait_until(true: Callable[[], object], *, seconds: float = 20, what: Callable[[], str] = lambda: "") -> None:
    """Return as soon as the condition is true; fail if that takes too long."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, what()
        time.sleep(0.02)


@contextmanager
def running(
    database_url: str, redis_url: str, log: Path, *, script: str = _RUN, **settings: str
) -> Iterator[WorkerProcess]:
    """A worker process that is ended in any case."""
    environment: Mapping[str, str] = {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PEPPERS": "1:" + "cGVwcGVy" * 6,
        "KEY_ENCRYPTION_KEY": "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=",
        "SWEEP_INTERVAL": f"{SWEEP_INTERVAL_SECONDS}s",
        "LOG_FORMAT": "json",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        **settings,
    }
    log.write_bytes(b"")
    worker = WorkerProcess(run_script(script, environment, log), log)
    try:
        yield worker
    finally:
        worker.kill()
