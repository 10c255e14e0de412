"""Sealer processes as in production: start, stop and kill them, and read their logs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forked import run_script
from worker.workers import WorkerProcess

_PROGRAM = Path(sys.executable).with_name("counterfoil")
_SEALER = """
import sys

from counterfoil.cli import main

sys.argv = ["counterfoil", "sealer"]
main()
"""


@contextmanager
def sealer(database_url: str, log: Path) -> Iterator[WorkerProcess]:
    """Run a sealer process and end it in any case."""
    environment = {**os.environ, "DATABASE_URL": database_url, "LOG_FORMAT": "json"}
    log.touch()
    process = run_script(_SEALER, environment, log)
    started = WorkerProcess(process, log)
    try:
        yield started
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
        started.kill()


def checked(database_url: str) -> subprocess.CompletedProcess[str]:
    """Return the result of the health check."""
    environment = {**os.environ, "DATABASE_URL": database_url}
    return subprocess.run(
        [_PROGRAM, "sealer", "--check"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
