"""Runs `up` in a process of its own, for tests and benchmarks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from counterfoil_dev.child import ChildFailed


@dataclass(frozen=True, slots=True)
class Service:
    """A service that another process of `up` runs."""

    process: subprocess.Popen[bytes]
    root: Path

    @property
    def url(self) -> str:
        """Its address."""
        return (self.root / "run" / "url").read_text()

    @property
    def credentials(self) -> Mapping[str, Any]:
        """The credentials that the first run wrote."""
        read: Mapping[str, Any] = json.loads((self.root / "credentials.json").read_text())
        return read

    def pid(self, name: str) -> int:
        """The process id of `postgres`, `valkey`, `api`, `worker` or `sealer`."""
        return int((self.root / "run" / f"{name}.pid").read_text().split()[0])

    def kill(self, name: str) -> None:
        """Kill one of its processes."""
        os.kill(self.pid(name), signal.SIGKILL)


@contextmanager
def running_service(
    root: Path,
    *,
    environment: Mapping[str, str] | None = None,
    printed: Path | None = None,
    timeout_seconds: float = 60,
) -> Iterator[Service]:
    """Run `up` on a free port with its state in `root`, wait until it is ready, and stop it by SIGTERM at the end.

    What it prints is written to `printed`.
    """
    command = [sys.executable, "-m", "counterfoil_dev", "--state", str(root), "--port", "0"]
    (root / "run" / "url").unlink(missing_ok=True)  # a killed run leaves it
    merged = {**os.environ, **(environment or {})}
    with (
        (printed or Path(os.devnull)).open("w") as output,
        subprocess.Popen(command, env=merged, stdout=output) as process,  # noqa: S603 - ourselves
    ):
        try:
            deadline = time.monotonic() + timeout_seconds
            while not (root / "run" / "url").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ChildFailed(f"`up` is not ready; its logs are in {root / 'log'}")
                time.sleep(0.02)
            yield Service(process, root)
        finally:
            process.terminate()
            process.wait(60)
