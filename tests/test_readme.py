"""The tour, in the README and in that of the command line, prints what they say, with a service that `up` runs."""

import os
import re
import subprocess
from itertools import chain
from pathlib import Path

import pytest

from cli.shell import install, loaded
from counterfoil_dev.running import Service, running_service
from readmes import TOP, Readme

TOUR = (Readme(TOP / "README.md"), Readme(TOP / "shared" / "counterfoil" / "cli" / "README.md"))
VENV = TOP / ".venv" / "bin"
_NORMAL = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"(cfl_[a-z]+_)[0-9A-Za-z]{4,49}"), r"\1SECRET"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r'"(exp|iat)":\d{10}'), r'"\1":SECONDS'),
    (re.compile(r"\b\d+\.\d s\b"), "SPAN"),
    (re.compile(r"^(number +|.*number (?=\d+, owner)|(?=\d+ +laptop))\d+ *", re.MULTILINE), r"\1NUMBER "),
)


def steps() -> list[tuple[str, str]]:
    """Every command of the tour's console blocks, with what it prints."""
    found = []
    for block in chain.from_iterable(readme.blocks("console") for readme in TOUR):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = step.partition("\n")
            found.append((command, printed))
    return found


def normal(text: str) -> list[str]:
    for pattern, name in _NORMAL:
        text = pattern.sub(name, text)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def agree(promised: str, printed: str) -> bool:
    """Compare line by line; an ellipsis stands for anything, also for lines."""
    pattern = "\n".join(normal(promised))
    return re.fullmatch(re.escape(pattern).replace("…", ".*"), "\n".join(normal(printed)), re.DOTALL) is not None


def checkout_with(service: Service, directory: Path) -> Path:
    """Make a directory that looks like a checkout in which `up` is running."""
    (directory / ".venv").symlink_to(VENV.parent)
    (directory / ".counterfoil").symlink_to(service.root)
    return directory


def toured(service: Service, checkout: Path, first: str = "") -> list[str]:
    """Run every command in one shell, after a line of our own, and return what each printed."""
    script = f"{first}\n" + "".join(f"{command}\necho '<<<>>>'\n" for command, _ in steps())
    script = script.replace("http://127.0.0.1:8080", service.url)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("COUNTERFOIL_")},
        "PATH": f"{VENV}:{os.environ['PATH']}",
        "COLUMNS": "140",  # tables, as in a terminal
    }
    ran = subprocess.run(
        ["bash", "-c", script], cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=200, check=True,
    )  # fmt: skip
    return ran.stdout.replace(service.url, "http://127.0.0.1:8080").split("<<<>>>\n")


@pytest.mark.soak
@pytest.mark.timeout(500)
def test_the_tour_can_be_repeated(place: Path, tmp_path: Path) -> None:
    with running_service(place) as service:
        checkout = checkout_with(service, tmp_path)
        for _ in range(2):
            assert_true_promises(toured(service, checkout))


@pytest.mark.timeout(500)
def test_the_tour_prints_what_the_readmes_say(place: Path, tmp_path: Path) -> None:
    with running_service(place) as service, loaded() as address:
        program = install(tmp_path, address)
        forked = f'counterfoil() {{ "{program}" "$@"; }}'
        assert_true_promises(toured(service, checkout_with(service, tmp_path), forked))
        readable = [path.name for path in place.iterdir() if path.is_file() and path.stat().st_mode & 0o077]
        assert not {name for name in readable if "json" in name or "env" in name}


def assert_true_promises(printed: list[str]) -> None:
    untrue = [
        f"$ {command}\n--- promised\n{promised}\n--- printed\n{really}"
        for (command, promised), really in zip(steps(), printed, strict=False)
        if not agree(promised, really)
    ]
    assert not untrue, "\n".join(untrue)


def test_the_tour_uses_no_fixed_number_and_no_shared_folder() -> None:
    commands = "\n".join(command for command, _ in steps())
    assert "/tmp" not in commands
    assert not re.search(r"\b(show|events|rotate|revoke|renew|disable|remove) \d", commands)


def test_an_untrue_promise_would_be_noticed() -> None:
    assert agree("active since TIME …", "active since TIME whatever\nelse")
    assert not agree("status active", "status revoked")
