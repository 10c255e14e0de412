"""schemathesis over the OpenAPI document: nothing breaks, and nothing is answered that is not written there."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.service import Caller

# A wrong request may meet its refusal in any of these; the ledger's own rules (names, scopes, lifetimes) are no part
# of a schema, so that a request which fits the schema may still be refused.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "409", "412", "413", "415", "422", "431"]
"""


async def prepared(admin: Caller) -> list[str]:
    """Tokens in every state, for the requests to meet."""
    ids = [(await admin.issue(duration="1h"))["token"]["id"] for _ in range(6)]
    ids.append((await admin.issue(expires_at=(datetime.now(UTC) - timedelta(days=1)).isoformat()))["token"]["id"])
    await admin.post(f"/v1/tokens/{ids[4]}/suspend")
    await admin.post(f"/v1/tokens/{ids[5]}/revoke", {"reason": "for the test"})
    return [*ids, "00000000-0000-7000-8000-000000000000"]


def with_tokens(document: dict[str, Any], ids: list[str]) -> dict[str, Any]:
    """The document, speaking of these tokens; left to itself schemathesis would revoke the token that it asks with."""
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    parameter["schema"] = {"enum": ids}
    return document


async def fuzz(admin: Caller, url: str, directory: Path, *, examples: int) -> tuple[int | None, str]:
    asking = await admin.holder("all")
    document = with_tokens((await admin.get("/openapi.json")).json, await prepared(admin))
    (directory / "openapi.json").write_text(json.dumps(document))
    (directory / "schemathesis.toml").write_text(CONFIGURATION)
    running = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", "schemathesis.toml"),
        *("run", "openapi.json", "--url", url, "--header", f"Authorization: {asking.credentials}", "--no-color"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance", "--continue-on-failure"),
        *("--max-examples", str(examples), "--generation-deterministic"),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await running.communicate()
    return running.returncode, told.decode()


async def test_nothing_breaks_and_nothing_undocumented_is_answered(admin: Caller, api_url: str, tmp_path: Path) -> None:
    code, told = await fuzz(admin, api_url, tmp_path, examples=8)
    assert code == 0, told


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_nothing_breaks_in_a_long_run_either(admin: Caller, api_url: str, tmp_path: Path) -> None:
    code, told = await fuzz(admin, api_url, tmp_path, examples=150)
    assert code == 0, told
