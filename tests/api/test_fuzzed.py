"""schemathesis over the OpenAPI document: no request causes an error or an undocumented answer."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from api.service import Caller, basic, founded, served, settings_for
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import OWNER, Postgres

# An invalid request may get any of these refusals.
CONFIGURATION = """
hooks = "fuzzed_hooks.py"

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "409", "412", "413", "415", "422", "429", "431"]

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "409", "410", "412", "429"]

[[operations]]
include-path = "/v1/tokens/import"
checks.negative_data_rejection.enabled = false
"""
# A caller with many wrong passwords gets 429. The hook checks requests that fit the schema against the rules that no
# schema can state.
UNCHECKED = "positive_data_acceptance,ignored_auth"
HOOKS = Path(__file__).with_name("fuzzed_hooks.py")
SPARED = "^/v1/account/end-secrets$"
"""It ends whoever asks; so only those who may not are let ask."""
PEOPLE = "^/v1/(login|users/self)"
"""What takes a password; and since each takes its time, only that is asked with one every day."""


@pytest_asyncio.fixture(scope="module")
async def described(
    postgres_server: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[str, Caller, str]]:
    """A separate service for fuzzing: its address, its administrator and their password."""
    postgres_server.run(f"create database described owner {OWNER} template {template};")
    settings = settings_for(postgres_server.database("described").app_url)
    credentials = await founded(settings, "described", tmp_path_factory.mktemp("described"))
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        password = basic(credentials["admin_login"], credentials["admin_password"])
        yield url, Caller(session, f"Bearer {credentials['admin_token']}"), password
    postgres_server.run("drop database if exists described with (force);")


async def prepared(admin: Caller) -> dict[str, list[str]]:
    """Names for paths: tokens in every state, users, unknown ids and invalid ones."""
    ids = [(await admin.issue(lifetime="1h"))["token"]["id"] for _ in range(6)]
    ids.append((await admin.issue(lifetime="1us"))["token"]["id"])
    await admin.post(f"/v1/tokens/{ids[4]}/suspend")
    await admin.post(f"/v1/tokens/{ids[5]}/revoke", {"reason": "for the test"})
    users = [(await admin.post("/v1/users", user(name))).json["user"]["id"] for name in ("ada", "ben", "cid")]
    never = "00000000-0000-7000-8000-000000000000"
    return {
        "ref": [*ids, never, "no reference"],
        "user": [*users, never, "nobody"],
        "revocation": [never, "no-revocation"],
    }


def user(name: str) -> dict[str, str]:
    return {"email": f"{name}@{uuid4()}.example", "role": "member", "password": f"{name} has a long password"}


def with_names(document: dict[str, Any], names: dict[str, list[str]]) -> dict[str, Any]:
    """The document with these names; without them schemathesis would revoke the token that it uses."""
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in names:
                    parameter["schema"] = {"enum": names[parameter["name"]]}
    return document


async def fuzz(
    described: tuple[str, Caller, str], directory: Path, credentials: str, *options: str, examples: int
) -> tuple[int | None, str]:
    """Run schemathesis with these credentials; return its exit code and its output."""
    url, admin, _ = described
    document = with_names((await admin.get("/openapi.json")).json, await prepared(admin))
    (directory / "openapi.json").write_text(json.dumps(document))
    (directory / "schemathesis.toml").write_text(CONFIGURATION)
    (directory / HOOKS.name).write_text(HOOKS.read_text())
    running = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", "schemathesis.toml"),
        *("run", "openapi.json", "--url", url, "--header", f"Authorization: {credentials}", "--no-color"),
        *("--checks", "all", "--exclude-checks", UNCHECKED, "--continue-on-failure"),
        *("--max-examples", str(examples), "--generation-deterministic", *options),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await running.communicate()
    return running.returncode, output.decode()


async def principal(who: str, described: tuple[str, Caller, str]) -> list[str]:
    """The credentials of a caller, and the operations that are left out for it."""
    _, admin, password = described
    match who:
        case "an administrator":
            return [(await admin.holder("all")).credentials, "--exclude-path-regex", SPARED]
        case "a member":
            return [(await admin.holder("own.read", "own.create", "self.rotate")).credentials]
        case "a person":
            return [password, "--exclude-path-regex", SPARED]
    return ["Bearer nobody"]


@pytest.mark.soak
async def test_no_request_causes_an_error_or_an_undocumented_answer(
    described: tuple[str, Caller, str], tmp_path: Path
) -> None:
    asking = await principal("an administrator", described)
    code, output = await fuzz(described, tmp_path, *asking, "--phases", "examples,fuzzing,stateful", examples=2)
    assert code == 0, output


async def test_no_request_with_a_password_causes_an_error(described: tuple[str, Caller, str], tmp_path: Path) -> None:
    options = ("--include-path-regex", PEOPLE, "--phases", "examples,fuzzing")
    code, output = await fuzz(described, tmp_path, described[2], *options, examples=1)
    assert code == 0, output


@pytest.mark.campaign
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("who", "examples"), [("an administrator", 40), ("a member", 10), ("nobody", 5), ("a person", 1)]
)
async def test_no_request_of_a_long_run_causes_an_error(
    described: tuple[str, Caller, str], tmp_path: Path, who: str, examples: int
) -> None:
    code, output = await fuzz(described, tmp_path, *await principal(who, described), examples=examples)
    assert code == 0, output
