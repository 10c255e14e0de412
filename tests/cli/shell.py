"""The `counterfoil` command in a separate process for each call, forked from one that has already loaded it.

Loading takes half a second, and the tests call the command hundreds of times. `serve` runs in the loaded process. A
`Shell` sends it requests; so does the program of `install`, which shell scripts of tests find as `counterfoil`.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_LONGEST = 1 << 20
_SERVE = "import sys; from cli.shell import serve; serve(int(sys.argv[1]))"
_PROGRAM = """#!{python} -IS
import json, os, socket, sys
request = {{"words": sys.argv[1:], "environment": dict(os.environ), "directory": os.getcwd()}}
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as call:
    call.connect({address!r})
    socket.send_fds(call, [json.dumps(request).encode()], [0, 1, 2])
    sys.exit(int(call.recv(16) or 1))
"""


@dataclass(frozen=True, slots=True)
class Said:
    """The result of a command."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Shell:
    """An environment in which `counterfoil` is called.

    Every call connects to the address of the loaded process, sends its request, and receives the exit code.
    """

    loaded: Path
    directory: Path
    environment: Mapping[str, str]

    async def __call__(
        self, *words: str, typed: str = "", stdout: int | None = None, stderr: int | None = None, **environment: str
    ) -> Said:
        # COLUMNS: parallel test workers set it, and tables read it.
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("COUNTERFOIL", "COLUMNS"))}
        given = {**clean, **self.environment, **environment}
        request = json.dumps({"words": words, "environment": given, "directory": str(self.directory)})
        with tempfile.TemporaryFile() as into, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            into.write(typed.encode())
            into.seek(0)
            files = [
                into.fileno(), out.fileno() if stdout is None else stdout, err.fileno() if stderr is None else stderr
            ]  # fmt: skip
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as call:
                call.connect(str(self.loaded))
                socket.send_fds(call, [request.encode()], files)
                code = await asyncio.to_thread(call.recv, 16)
            return Said(int(code), _text(out), _text(err))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@contextmanager
def loaded() -> Iterator[Path]:
    """Load the command, and yield the address of its process."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent.parent)}
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as calls:
        address = Path(directory) / "calls"
        calls.bind(str(address))
        calls.listen(64)
        fd = calls.fileno()
        with subprocess.Popen([sys.executable, "-c", _SERVE, str(fd)], env=environment, pass_fds=[fd]) as process:
            try:
                yield address
            finally:
                process.terminate()


def install(directory: Path, address: Path) -> Path:
    """Write a program `counterfoil` that calls the loaded process at this address, and return its path."""
    program = directory / "counterfoil"
    program.write_text(_PROGRAM.format(python=sys.executable, address=str(address)))
    program.chmod(0o755)
    return program


def serve(fd: int) -> None:
    """Fork the loaded command for every call, until the process is ended."""
    import counterfoil.uses.found_account  # noqa: F401, PLC0415 - brings the door with it, for commands of the server
    from counterfoil.cli.command_line import run  # noqa: PLC0415 - who asks need not load it
    from hashes import hash_quickly  # noqa: PLC0415 - likewise

    hash_quickly()
    _load_what_a_call_imports(run)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    calls = socket.socket(fileno=fd)
    while True:
        call, _ = calls.accept()
        request, files, _, _ = socket.recv_fds(call, _LONGEST, 3)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            calls.close()
            _run(run, json.loads(request), call, *files)
            os._exit(0)  # an interpreter's own end takes longer than most commands
        for each in files:
            os.close(each)
        call.close()


def _load_what_a_call_imports(command: Callable[[], None]) -> None:
    """Import modules that only the first call imports, so that each fork has them."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        for words in (["token", "list", "--help"], ["token", "list", "--limit", "many"]):
            sys.argv = ["counterfoil", *words]
            with suppress(SystemExit):
                command()


def _run(command: Callable[[], None], request: dict[str, Any], call: socket.socket, *files: int) -> None:
    """Become the requested command."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115 - the process's own
    sys.stderr = open(2, "w", errors="backslashreplace")  # noqa: SIM115 - likewise
    sys.argv = ["counterfoil", *request["words"]]
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    code = 1
    try:
        command()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        call.send(str(code).encode())
