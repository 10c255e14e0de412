"""What can be said of compose.yaml and the Dockerfiles without an engine to run them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from counterfoil.settings import VARIABLES, Command, Settings

TOP = Path(__file__).parents[2]
IMAGES = ("api", "worker")
ENVIRONMENT = {
    "POSTGRES_PASSWORD": "aa",
    "OWNER_PASSWORD": "bb",
    "APP_PASSWORD": "cc",
    "VALKEY_PASSWORD": "dd",
    "PEPPERS": "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "KEY_ENCRYPTION_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "PUBLIC_URL": "http://localhost:8080",
}
REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")
DEFAULTED = re.compile(r"\$\{(\w+):-([^}]*)\}")


def composed() -> dict[str, Any]:
    text = (TOP / "compose.yaml").read_text()
    text = REQUIRED.sub(lambda match: ENVIRONMENT[match[1]], text)
    loaded: dict[str, Any] = yaml.safe_load(DEFAULTED.sub(lambda match: match[2], text))
    return loaded


def lines(image: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, continued lines joined."""
    text = (TOP / "services" / image / "Dockerfile").read_text().replace("\\\n", " ")
    instructions = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, rest in instructions]


def has_compose() -> bool:
    asked = ["docker", "compose", "version"]
    return (
        shutil.which("docker") is not None and subprocess.run(asked, capture_output=True, check=False).returncode == 0
    )


def sent(path: Path) -> bool:
    """Whether .dockerignore lets this path through to the build: it names what it lets through."""
    let_through = [line[1:] for line in (TOP / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    return any(path.is_relative_to(TOP / each) or (TOP / each).is_relative_to(path) for each in let_through)


def test_every_secret_that_is_missing_is_named() -> None:
    assert set(REQUIRED.findall((TOP / "compose.yaml").read_text())) == set(ENVIRONMENT)
    without_comments = re.sub(r"^ *#.*$", "", (TOP / "compose.yaml").read_text(), flags=re.MULTILINE)
    assert not re.search(r"\$\{\w+\}|\$\w", without_comments)


@pytest.mark.parametrize("service", ["migrate", "api", "worker"])
def test_our_services_are_told_settings_that_exist_and_hold(service: Command) -> None:
    told = composed()["services"][service]["environment"]
    assert set(told) <= {variable.name for variable in VARIABLES}
    assert Settings.from_environment({name: str(value) for name, value in told.items()}, command=service)


@pytest.mark.parametrize(
    ("variable", "whose"), [("MIGRATE_DATABASE_URL", "migrate"), ("PEPPERS", "api"), ("REDIS_URL", "worker")]
)
def test_a_secret_is_told_to_those_alone_who_need_it(variable: str, whose: str) -> None:
    knowing = [name for name, service in composed()["services"].items() if variable in service["environment"]]
    assert knowing == [whose]


@pytest.mark.parametrize("service", ["migrate", "api", "worker"])
def test_our_services_can_write_nowhere_and_gain_nothing(service: str) -> None:
    said = composed()["services"][service]
    assert said["read_only"] is True
    assert said["cap_drop"] == ["ALL"]
    assert said["security_opt"] == ["no-new-privileges:true"]


def test_what_is_waited_for_exists_and_can_be_waited_for() -> None:
    services = composed()["services"]
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            assert name in services
            if wait["condition"] == "service_healthy":
                assert "test" in services[name]["healthcheck"]


def test_what_is_built_and_mounted_exists() -> None:
    everything = composed()
    for service in everything["services"].values():
        if "build" in service:
            assert (TOP / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        for mount in service.get("volumes", []):
            assert mount.split(":")[0] in everything["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in everything["configs"]


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_copied_is_there_and_reaches_the_build(image: str) -> None:
    copies = [rest.split() for word, rest in lines(image) if word == "COPY" and not rest.startswith("--from")]
    assert copies
    for *sources, _target in copies:
        for source in sources:
            assert (TOP / source).exists()
            assert sent(TOP / source)


@pytest.mark.parametrize("image", IMAGES)
def test_images_do_not_run_as_root(image: str) -> None:
    words = [word for word, _rest in lines(image)]
    assert words.count("FROM") == 2
    assert dict(lines(image))["USER"] == "10001:10001"
    assert words.index("USER") > len(words) - 1 - words[::-1].index("FROM")
    assert "HEALTHCHECK" in words


@pytest.mark.parametrize("image", IMAGES)
def test_images_install_only_what_is_hashed(image: str) -> None:
    installs = [rest for word, rest in lines(image) if word == "RUN" and "pip install" in rest]
    for command in " && ".join(installs).split("&&"):
        assert "pip install" not in command or "--require-hashes" in command or "--no-index" in command


@pytest.mark.parametrize("command", [("migrate",), ("api",), ("worker",), ("account", "create")])
def test_the_commands_they_name_exist(command: tuple[str, ...]) -> None:
    program = Path(sys.executable).with_name("counterfoil")
    assert subprocess.run([program, *command, "--help"], capture_output=True, check=False).returncode == 0


def test_the_commands_they_name_are_those() -> None:
    named = {" ".join(service["command"][:2]) for service in composed()["services"].values() if "build" in service
             and "command" in service}  # fmt: skip
    named |= {" ".join(shlex.split(dict(lines(image))["CMD"].strip("[]").replace(",", " "))) for image in IMAGES}
    assert named == {"counterfoil migrate", "counterfoil api", "counterfoil worker"}


def test_a_wheel_holds_the_service_and_its_migrations_and_nothing_for_development(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(build, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    for migration in (TOP / "migrations").glob("*.sql"):
        assert f"counterfoil/migrations/{migration.name}" in names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "counterfoil",
        "counterfoil_api",
        "counterfoil_worker",
    }


@pytest.mark.skipif(not has_compose(), reason="docker compose is not installed")
def test_docker_compose_agrees() -> None:
    asked = ["docker", "compose", "--file", str(TOP / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(asked, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
