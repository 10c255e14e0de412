"""compose.yaml and the Dockerfile, as far as they can be checked without a container engine."""

import asyncio
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from counterfoil.postgres.grants import READER
from counterfoil.postgres.migrate import migrate
from counterfoil.settings import VARIABLES, Command, Settings
from counterfoil_dev.binaries import postgres_programs
from counterfoil_dev.postgres import APPLICATION, DATABASE, OWNER, bare_environment, embedded_postgres
from counterfoil_dev.state import State

TOP = Path(__file__).parents[2]
OURS = ("migrate", "api", "worker", "sealer", "account", "cli")
ENVIRONMENT = {
    "POSTGRES_PASSWORD": "aa",
    "OWNER_PASSWORD": "bb",
    "APP_PASSWORD": "cc",
    "VALKEY_PASSWORD": "dd",
    "PEPPERS": "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "KEY_ENCRYPTION_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
}
# The values that compose.yaml fixes itself: the addresses of its servers, and the layout of its containers.
DECIDED = {
    "DATABASE_URL", "MIGRATE_DATABASE_URL", "REDIS_URL", "LIMITS_REDIS_URL", "API_HOST", "API_PORT",
    "PROMETHEUS_MULTIPROC_DIR",
}  # fmt: skip
BY_DIGEST = re.compile(r"[a-z/]+:[\w.-]+@sha256:[0-9a-f]{64}")
REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")
DEFAULTED = re.compile(r"\$\{(\w+):-([^}]*)\}")


def composed(**given: str) -> dict[str, Any]:
    """The file as Compose reads it with this .env, where an empty value counts as missing."""

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: filled(value) for name, value in node.items()}
        if isinstance(node, list):
            return [filled(value) for value in node]
        if not isinstance(node, str):
            return node
        required = REQUIRED.sub(lambda match: ENVIRONMENT[match[1]], node)
        return DEFAULTED.sub(lambda match: given.get(match[1]) or match[2], required).replace("$$", "$")

    loaded: dict[str, Any] = filled(yaml.safe_load((TOP / "compose.yaml").read_text()))
    return loaded


def lines() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, with continued lines joined."""
    text = (TOP / "services" / "Dockerfile").read_text().replace("\\\n", " ")
    instructions = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, rest in instructions]


def has_compose() -> bool:
    command = ["docker", "compose", "version"]
    return (
        shutil.which("docker") is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


def sent(path: Path) -> bool:
    """Whether .dockerignore sends this path to the build; it lists the allowed paths."""
    let_through = [line[1:] for line in (TOP / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    return any(path.is_relative_to(TOP / each) or (TOP / each).is_relative_to(path) for each in let_through)


def test_every_missing_secret_is_named() -> None:
    assert set(REQUIRED.findall((TOP / "compose.yaml").read_text())) == set(ENVIRONMENT)
    without_comments = re.sub(r"^ *#.*$", "", (TOP / "compose.yaml").read_text(), flags=re.MULTILINE)
    assert not re.search(r"(?<!\$)\$(\{\w+\}|\w)", without_comments)


def test_boot_writes_the_secrets_once_and_only_for_ourselves(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    boot, file = shutil.copy(TOP / "shared" / "boot.py", tmp_path / "shared"), tmp_path / ".env"
    command = [sys.executable, boot, "env"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"wrote {file}" in done.stdout
    written = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert set(written) == set(ENVIRONMENT)
    assert len(set(written.values())) == len(written)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    given = {**composed()["services"]["api"]["environment"], **written}
    assert Settings.from_environment(given, command="api").api_processes == 2
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, f"{file} exists and was not changed" in again.stderr) == (1, True)
    assert dict(line.split("=", 1) for line in file.read_text().splitlines()) == written
    assert [path.name for path in tmp_path.iterdir() if path.name != "shared"] == [".env"]


def test_every_setting_can_be_set_in_the_env_file() -> None:
    chosen = {variable.name: f"chosen-{variable.name}" for variable in VARIABLES}
    given = [service["environment"] for service in composed(**chosen)["services"].values() if "environment" in service]
    for variable in VARIABLES:
        if variable.name not in DECIDED and variable.name not in ENVIRONMENT:
            found = {environment[variable.name] for environment in given if variable.name in environment}
            assert found == {chosen[variable.name]}, variable.name


def test_the_oldest_supported_compose_is_named() -> None:
    assert "Needs Docker Compose 2.23.1 or newer" in (TOP / "compose.yaml").read_text()
    assert "content" in composed()["configs"]["roles"]  # supported from that version on


def test_our_services_share_one_image_that_is_built_once() -> None:
    services = composed()["services"]
    assert {services[name]["image"] for name in OURS} == {"counterfoil:local"}
    assert {name for name, service in services.items() if "build" in service} == {"migrate"}
    assert {services[name]["pull_policy"] for name in OURS if name != "migrate"} == {"never"}
    assert services["migrate"]["pull_policy"] == "build"


def test_images_of_others_are_named_by_digest() -> None:
    named = [service["image"] for name, service in composed()["services"].items() if name not in OURS]
    named += [rest.split()[0] for word, rest in lines() if word == "FROM"]
    assert len(named) == 4
    assert [name for name in named if not BY_DIGEST.fullmatch(name)] == []
    assert len(set(named)) == 3  # both stages use the same Python


def test_initdb_accepts_the_arguments_and_postgres_the_roles_of_compose(place: Path) -> None:
    state, everything = State.at(place), composed()
    arguments = shlex.split(everything["services"]["postgres"]["environment"]["POSTGRES_INITDB_ARGS"])
    data = state.data("postgres") / "data"
    made = subprocess.run(
        [postgres_programs(state) / "initdb", "-D", data, "-U", "postgres", "--auth=trust", *arguments],
        cwd="/", env=bare_environment(), capture_output=True, text=True, check=False, **state.user.run_as,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with embedded_postgres(state) as server:  # finds the cluster and uses it unchanged
        given = "select datcollate, datlocprovider, datlocale, pg_encoding_to_char(encoding) from pg_database"
        assert server.run(f"{given} where datname = 'template1'").strip() == "C|b|C.UTF-8|UTF8"
        server.run(f"drop database {DATABASE}; drop role {APPLICATION}; drop role {OWNER}; drop role {READER};")
        server.run(everything["configs"]["roles"]["content"])
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            assert runner.run(migrate(server.database().owner_url, app_role=APPLICATION))
        assert server.run("show data_checksums").strip() == "on"


@pytest.mark.parametrize("service", ["migrate", "api", "worker", "sealer", "account"])
def test_our_services_get_existing_and_valid_settings(service: Command) -> None:
    given = composed()["services"][service]["environment"]
    assert set(given) - {"ACCOUNT_NAME", "ADMIN_EMAIL"} <= {variable.name for variable in VARIABLES}
    assert Settings.from_environment(given, command=service)


@pytest.mark.parametrize(
    ("variable", "whose"),
    [
        ("MIGRATE_DATABASE_URL", ["migrate"]),
        ("PEPPERS", ["api", "account"]),
        ("KEY_ENCRYPTION_KEY", ["api", "worker"]),
        ("REDIS_URL", ["worker"]),
        ("COUNTERFOIL_TOKEN", ["cli"]),
    ],
)
def test_a_secret_is_given_only_to_the_services_that_need_it(variable: str, whose: list[str]) -> None:
    knowing = [name for name, service in composed()["services"].items() if variable in service["environment"]]
    assert knowing == whose


@pytest.mark.parametrize("service", OURS)
def test_our_services_can_write_nowhere_and_gain_no_rights(service: str) -> None:
    output = composed()["services"][service]
    assert output["read_only"] is True
    assert output["cap_drop"] == ["ALL"]
    assert output["security_opt"] == ["no-new-privileges:true"]


def test_every_dependency_exists_and_has_a_health_check() -> None:
    services = composed()["services"]
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            assert name in services
            if wait["condition"] == "service_healthy":
                assert "test" in services[name]["healthcheck"]


def test_every_built_or_mounted_path_exists() -> None:
    everything = composed()
    for service in everything["services"].values():
        if "build" in service:
            assert (TOP / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        for mount in service.get("volumes", []):
            assert mount.split(":")[0] in everything["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in everything["configs"]


def test_every_copied_path_exists_and_reaches_the_build() -> None:
    copies = [rest.split() for word, rest in lines() if word == "COPY" and not rest.startswith("--from")]
    assert copies
    for *sources, _target in copies:
        for source in sources:
            assert (TOP / source).exists()
            assert sent(TOP / source)


def test_the_image_does_not_run_as_root() -> None:
    words = [word for word, _rest in lines()]
    assert words.count("FROM") == 2
    assert dict(lines())["USER"] == "10001:10001"
    assert words.index("USER") > len(words) - 1 - words[::-1].index("FROM")


def test_the_image_installs_only_hashed_packages() -> None:
    installs = [rest for word, rest in lines() if word == "RUN" and "pip install" in rest]
    for command in " && ".join(installs).split("&&"):
        assert "pip install" not in command or "--require-hashes" in command or "--no-index" in command


@pytest.mark.parametrize("command", [("migrate",), ("api",), ("worker",), ("sealer",), ("account", "create")])
def test_the_named_commands_exist(command: tuple[str, ...]) -> None:
    program = Path(sys.executable).with_name("counterfoil")
    assert subprocess.run([program, *command, "--help"], capture_output=True, check=False).returncode == 0


def test_the_named_commands_are_the_expected_ones() -> None:
    services = composed()["services"]
    assert [services[name]["command"] for name in ("migrate", "api", "worker", "sealer")] == [
        ["counterfoil", "migrate"], ["counterfoil", "api"], ["counterfoil", "worker"], ["counterfoil", "sealer"],
    ]  # fmt: skip
    assert services["sealer"]["healthcheck"]["test"] == ["CMD", "counterfoil", "sealer", "--check"]
    assert services["account"]["command"][2].startswith("counterfoil account create ")
    assert services["cli"]["entrypoint"] == ["counterfoil"]
    assert yaml.safe_load(dict(lines())["CMD"]) == ["counterfoil", "api"]


def test_a_wheel_contains_the_service_and_its_migrations_and_nothing_for_development(tmp_path: Path) -> None:
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
def test_docker_compose_accepts_the_file() -> None:
    command = ["docker", "compose", "--file", str(TOP / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
