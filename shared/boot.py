"""Run or test Counterfoil from a clean checkout, with nothing but Python.

    python3 shared/boot.py up [--state DIR] [--port N]    run everything until Ctrl-C
    python3 shared/boot.py test [pytest arguments]        run the test suite
    python3 shared/boot.py run PROGRAM [arguments]        run a program of the environment, such as ruff
    python3 shared/boot.py env                            write .env with new secrets for compose.yaml, if there is none

Only the standard library is used here, and nothing newer than Python 3.7 above the version check.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

OLDEST = (3, 11)
TOP = Path(__file__).resolve().parent.parent
VENV = TOP / ".venv"
DETAILS = VENV / "installation.log"
PYTHON = VENV / "bin" / "python"

# What uv and pip print if they cannot reach the network.
NO_NETWORK = re.compile(
    r"error sending request|failed to fetch|failed to connect|dns error|tcp connect|network is unreachable|timed out"
    r"|newconnectionerror|connection (refused|broken|aborted|reset)|name resolution|cannot connect to proxy",
    re.IGNORECASE,
)

# What each command installs: the running service needs neither linters nor test tools.
LOCKS = {
    "up": TOP / "shared" / "counterfoil_dev" / "requirements.lock",
    "test": TOP / "requirements.lock",
    "run": TOP / "requirements.lock",
}


def main(arguments: list[str]) -> None:
    """Install what the command needs, then replace this process by it."""
    if arguments == ["env"]:  # for a machine with Docker, whose Python may be old
        write_env(TOP / ".env")
        return
    reason = why_unfit()
    if reason:
        sys.exit(reason)
    if not arguments or arguments[0] not in LOCKS or (arguments[0] == "run" and not arguments[1:]):
        sys.exit((__doc__ or "").strip())
    command, rest = arguments[0], arguments[1:]
    install(LOCKS[command])
    become(command, rest)


def write_env(file: Path) -> None:
    """Write the secrets that compose.yaml needs: completely, readable by us alone, and never over an existing file."""
    passwords = ("POSTGRES_PASSWORD", "OWNER_PASSWORD", "APP_PASSWORD", "VALKEY_PASSWORD")
    lines = [f"{name}={secrets.token_hex(24)}\n" for name in passwords]
    lines += [f"PEPPERS=1:{random_key()}\n", f"KEY_ENCRYPTION_KEY={random_key()}\n"]
    half = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(str(half), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.writelines(lines)
    try:
        os.link(str(half), str(file))  # fails if the file exists
    except FileExistsError:
        sys.exit(f"{file} exists and was not changed: the secrets in it cannot be made again.")
    finally:
        half.unlink()
    sys.stdout.write(f"wrote {file}; keep a copy, but not together with the backups of the database\n")


def random_key() -> str:
    """Return a key of 256 bits in the form that settings need."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def why_unfit() -> str:
    """Return why this Python or machine cannot run Counterfoil, or "" if it can."""
    if os.name != "posix":
        return "Counterfoil runs on Linux and macOS; on Windows use it inside WSL."
    if sys.version_info >= OLDEST:
        return ""
    wanted, found = ".".join(map(str, OLDEST)), ".".join(map(str, sys.version_info[:3]))
    others = [name for name in (f"python3.{minor}" for minor in range(11, 20)) if shutil.which(name)]
    hint = f" Try: {others[-1]} shared/boot.py" if others else ""
    return f"Counterfoil needs Python {wanted} or newer; this is {found}.{hint}"


def become(command: str, rest: list[str]) -> None:
    """Replace this process, so that signals and exit status are the program's own."""
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV), "PATH": f"{VENV / 'bin'}:{os.environ.get('PATH', '')}"}
    # Many processes load the same files; without the compiled ones each takes three times as long to start.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if command == "up":
        program = [str(PYTHON), "-m", "counterfoil_dev", *rest]
    elif command == "test":
        os.chdir(TOP)
        # Many tests wait for a clock or a server: two processes more than there are cores make use of that time.
        processes = (os.cpu_count() or 1) + 2
        program = [str(PYTHON), "-m", "pytest", f"--numprocesses={processes}", "--dist=worksteal", *rest]
    else:
        os.chdir(TOP)
        program = [str(VENV / "bin" / rest[0]), *rest[1:]]
        if not os.access(program[0], os.X_OK):
            sys.exit(f"There is no program {rest[0]} in {VENV.name}.")
    sys.stdout.flush()
    os.execve(program[0], program, environment)  # noqa: S606 - our own environment's programs


def install(lock: Path) -> None:
    """Install what the lock names into .venv and check its hashes; do nothing if it is installed already."""
    import fcntl  # noqa: PLC0415 - missing on Windows, which `why_unfit` refuses first

    with Path(__file__).open(encoding="utf-8") as turn:  # two installations at once would break each other
        fcntl.flock(turn, fcntl.LOCK_EX)
        stamp = VENV / f"installed-{digest_of(lock)}"
        if works() and stamp.exists():
            return
        if not works():
            say("making .venv")
            make_venv()
        say("installing what is locked")
        DETAILS.unlink(missing_ok=True)
        installer = next((each for each in installers(lock) if installed_by(each, lock)), None)
        if not installer or not succeeds([*installer, "--no-deps", "--no-build-isolation", "-e", str(TOP)]):
            sys.exit(why_not())
        stamp.touch()


def why_not() -> str:
    """Return why nothing could be installed; the output of the installers is in a file."""
    log_text = DETAILS.read_text(encoding="utf-8", errors="replace") if DETAILS.exists() else ""
    if NO_NETWORK.search(log_text):
        return (
            "The packages that Counterfoil needs could not be fetched: the package index cannot be reached from here.\n"
            "Connect to a network, set HTTPS_PROXY if it has a proxy, or fill the cache of uv or pip, then try again."
            f" The output of the installers is in {DETAILS}."
        )
    last = next((line.strip() for line in reversed(log_text.splitlines()) if line.strip()), "no output")
    return f"The installation failed ({last}). The output of the installers is in {DETAILS}."


def digest_of(lock: Path) -> str:
    """Return what identifies an installation: the lock, the project, and the place of the checkout."""
    content = lock.read_bytes() + (TOP / "pyproject.toml").read_bytes() + os.fsencode(TOP)
    return hashlib.sha256(content).hexdigest()[:16]


def works() -> bool:
    """Return whether .venv has a Python that starts and is new enough; a system upgrade may have broken it."""
    check = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    try:
        return subprocess.run([str(PYTHON), "-c", check], capture_output=True, check=False).returncode == 0  # noqa: S603
    except OSError:
        return False


def make_venv() -> None:
    """Make a new .venv, with uv if it is there: Debian's Python has no ensurepip."""
    shutil.rmtree(VENV, ignore_errors=True)
    tool = shutil.which("uv")
    if tool and succeeds([tool, "venv", "--quiet", "--python", sys.executable, str(VENV)]):
        return
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)  # noqa: S603
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(f"Python could not make a virtual environment (on Debian: apt install python3-venv).\n{made.stdout}")


def installers(lock: Path) -> Iterator[list[str]]:
    """Yield the installers to try: uv, the system's or one in .venv, then pip, which copes with more networks."""
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=2"]
    tool = shutil.which("uv")
    if tool:
        yield with_uv(tool)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as only_uv:
        only_uv.write(block_of("uv", lock.read_text(encoding="utf-8")))
        only_uv.flush()
        if not tool and succeeds([*pip, "--require-hashes", "-r", only_uv.name]):
            yield with_uv(str(VENV / "bin" / "uv"))
    if succeeds([str(PYTHON), "-m", "ensurepip"]):
        yield pip


def installed_by(installer: list[str], lock: Path) -> bool:
    """Install exactly what the lock names, with its hashes."""
    return succeeds([*installer, "--require-hashes", "-r", str(lock)])


def with_uv(tool: str) -> list[str]:
    return [tool, "pip", "install", "--quiet", "--python", str(PYTHON)]


def block_of(package: str, lock: str) -> str:
    """Return the lines of one package in a lock: its version, and the hashes below it."""
    lines, taking = [], False
    for line in lock.splitlines():
        if not line.startswith((" ", "#")):
            taking = line.startswith(f"{package}==")
        if taking:
            lines.append(line)
    return "\n".join(lines) + "\n"


def succeeds(command: list[str]) -> bool:
    """Run a command and return whether it succeeded; the output of a failure goes to DETAILS."""
    # A company's network may need the system's certificates; and no warning about disks.
    environment = {"UV_SYSTEM_CERTS": "true", "UV_LINK_MODE": "copy", **os.environ}
    done = subprocess.run(  # noqa: S603 - our own commands
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        with DETAILS.open("ab") as details:
            details.write(b"$ " + " ".join(command).encode(errors="replace") + b"\n" + done.stdout)
    return done.returncode == 0


def say(line: str) -> None:
    sys.stdout.write(f"{line} …\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
