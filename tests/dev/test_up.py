"""`boot.py up`: what it promises its user."""

import asyncio
import base64
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import asyncpg
import pytest
import yaml
from argon2 import extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY

from counterfoil_dev.child import command_of
from counterfoil_dev.running import Service, running_service
from states import quick_state

SERVERS = ("postgres", "valkey", "api", "worker", "sealer")
GIVEN = {
    "RATE_LIMIT": "600/1m", "NOTICE_THRESHOLDS": "30d, 1d", "METRICS_TOKEN": "nobody-guesses-this",
    "DATABASE_URL": "postgresql://a:swordfish@elsewhere/b", "API_PORT": "1", "LOG_LEVEL": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with quick_state() as state:
        yield state.root


@pytest.fixture(scope="module")
def service(root: Path) -> Iterator[Service]:
    """One service for all tests that leave it running."""
    with running_service(root, environment=GIVEN, printed=root / "printed") as running:
        yield running


def up(root: Path, *, port: int = 0) -> subprocess.CompletedProcess[str]:
    """A run of `up` that is expected to end by itself."""
    command = [sys.executable, "-m", "counterfoil_dev", "--state", str(root), "--port", str(port)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def call(service: Service, path: str, **body: Any) -> dict[str, Any]:
    """The API's answer to the administrator's token."""
    request = Request(f"{service.url}{path}", data=json.dumps(body).encode() if body else None)
    request.add_header("Authorization", f"Bearer {service.credentials['admin_token']}")
    request.add_header("Content-Type", "application/json")
    with urlopen(request, timeout=10) as reply:
        answer: dict[str, Any] = json.load(reply)
        return answer


def answers(service: Service) -> bool:
    try:
        return bool(call(service, "/v1/tokens/self"))
    except (URLError, HTTPException, OSError):
        return False


def within(seconds: float, claim: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if claim():
            return True
        time.sleep(0.05)
    return False


def family(supervisor: int) -> set[int]:
    """Every process below the supervisor, including grandchildren."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found, front = set(), {supervisor}
    while front:
        found |= front
        front = {pid for pid, parent in parents.items() if parent in front}
    return found


def living(pids: set[int]) -> list[str]:
    return [command for pid in pids if (command := command_of(pid))]


def test_the_first_token_works(service: Service) -> None:
    token = call(service, "/v1/tokens/self")
    assert token["status"] == "active"
    assert token["account"] == service.credentials["account"]


def test_credentials_are_readable_only_by_their_owner(service: Service) -> None:
    for name in ("credentials.json", "secrets.env", "service.env"):
        assert stat.S_IMODE((service.root / name).stat().st_mode) == 0o600
    assert {"url", "account", "admin_email", "admin_password", "admin_token"} <= set(service.credentials)
    assert service.credentials["url"] == service.url


async def test_a_password_hash_costs_what_rfc_9106_recommends(service: Service) -> None:
    await asyncio.to_thread(add_ada, service)
    messages = dict(line.split("=", 1) for line in (service.root / "service.env").read_text().splitlines())
    connection = await asyncpg.connect(messages["MIGRATE_DATABASE_URL"].strip("'"))
    costs = [extract_parameters(row["hash"]) for row in await connection.fetch("select hash from password")]
    await connection.close()
    assert costs == [RFC_9106_LOW_MEMORY] * 3  # the command hashed the administrator's and the member's, the API Ada's


def add_ada(service: Service) -> None:
    login = f"{service.credentials['admin_login']}:{service.credentials['admin_password']}"
    body = {"email": "ada@counterfoil.example", "role": "member", "password": "four words and a 5th"}
    request = Request(f"{service.url}/v1/users", data=json.dumps(body).encode())
    request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    request.add_header("Content-Type", "application/json")
    with urlopen(request, timeout=10) as reply:
        assert reply.status == 201


def test_readiness_is_reported(service: Service) -> None:
    with urlopen(f"{service.url}/readyz", timeout=10) as reply:
        assert reply.status == 200


@pytest.mark.parametrize("service_name", ["api", "worker", "sealer"])
def test_the_health_checks_of_compose_succeed_here_too(service: Service, service_name: str) -> None:
    compose = yaml.safe_load((Path(__file__).parents[2] / "compose.yaml").read_text())
    _exec, program, *words = compose["services"][service_name]["healthcheck"]["test"]
    words = [word.replace("127.0.0.1:8080", service.url.removeprefix("http://")) for word in words]
    messages = dict(line.split("=", 1) for line in (service.root / "service.env").read_text().splitlines())
    here = {**os.environ, **{name: messages[name].strip("'") for name in ("REDIS_URL", "DATABASE_URL")}}
    command = [Path(sys.executable).with_name(program), *words]
    assert within(60, lambda: subprocess.run(command, env=here, check=False).returncode == 0)


def test_a_second_up_on_the_same_state_is_refused_and_harms_nothing(service: Service) -> None:
    second = up(service.root)
    assert second.returncode == 1
    assert re.search(rf"{service.root} is in use by process {service.process.pid}\. Stop that one", second.stderr)
    assert "Traceback" not in second.stderr
    assert answers(service)


def test_a_busy_port_is_reported(place: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        refused = up(place, port=busy.getsockname()[1])
    assert refused.returncode == 1
    assert re.search(r"Port \d+ cannot be used: Address already in use\. Choose another with --port", refused.stderr)
    assert "Traceback" not in refused.stderr


def test_the_environment_of_the_processes_works_in_an_operators_shell(service: Service) -> None:
    script = f'set -a; . "{service.root}/service.env"; exec "{Path(sys.executable).with_name("counterfoil")}" migrate'
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "nothing to apply")


@pytest.mark.parametrize("name", SERVERS)
def test_every_killed_process_is_restarted(service: Service, name: str) -> None:
    before = service.pid(name)
    service.kill(name)
    assert within(60, lambda: service.pid(name) != before)
    assert within(60, lambda: answers(service))
    made = call(service, "/v1/tokens", name=f"after the death of {name}", scopes=[], lifetime="1d")
    assert call(service, f"/v1/tokens/{made['token']['id']}")["status"] == "active"


@pytest.mark.soak
def test_any_signal_ends_all_processes_and_the_next_up_continues(place: Path) -> None:
    known: dict[str, str] = {}
    secrets: set[tuple[str, str]] = set()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with running_service(place) as service:
            assert service.credentials["url"] == service.url
            secrets.add((service.credentials["admin_token"], (place / "secrets.env").read_text()))
            for name, token_id in known.items():
                assert call(service, f"/v1/tokens/{token_id}")["name"] == name
            issued = call(service, "/v1/tokens", name=number.name, scopes=[], lifetime="1d")
            known[number.name] = issued["token"]["id"]
            processes = family(service.process.pid)
            assert len(processes) > len(SERVERS)
            service.process.send_signal(number)
            assert service.process.wait(60) == 0
            assert living(processes) == []  # at once: no process outlives the supervisor
            assert not (place / "run" / "url").exists()
    assert len(secrets) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of the dead")
@pytest.mark.soak
def test_a_killed_supervisor_leaves_no_process_and_the_next_up_needs_no_credentials_file(place: Path) -> None:
    with running_service(place) as service:
        first, processes = service.credentials["account"], family(service.process.pid)
        service.process.kill()
        service.process.wait()
        (place / "credentials.json").rename(place / "credentials.json.new")
        with running_service(place) as next_service:  # at once: leftovers must not be in the way
            assert next_service.credentials["account"] == first
            assert answers(next_service)
            assert within(
                60, lambda: not {pid for pid in processes if command_of(pid)} - family(next_service.process.pid)
            )


def test_every_given_setting_is_named_and_no_secret_is_shown(service: Service) -> None:
    printed = (service.root / "printed").read_text()
    assert "  given        NOTICE_THRESHOLDS='30d, 1d' METRICS_TOKEN=… RATE_LIMIT=600/1m\n" in printed
    assert "  not used     DATABASE_URL API_PORT (given, but `up` runs servers of its own)\n" in printed
    assert "swordfish" not in printed
    assert "nobody-guesses" not in printed


def test_a_process_that_cannot_start_shows_the_reason(place: Path) -> None:
    messages = {**os.environ, "LOG_LEVEL": "chatty"}
    command = [sys.executable, "-m", "counterfoil_dev", "--state", str(place), "--port", "0"]
    refused = subprocess.run(command, env=messages, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 1
    assert "LOG_LEVEL has to be one of debug, info, warning, error; it is 'chatty'" in refused.stderr
