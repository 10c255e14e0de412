"""Commands of operators, next to the database."""

import asyncio
import json
import os
import pty
import stat
import subprocess
import sys
from typing import Any

import asyncpg
import pytest

from cli.shell import Shell
from counterfoil_dev.postgres import Database


async def test_an_account_is_created_only_once(server_side: Shell) -> None:
    words = ("account", "create", "first", "--admin-email", "admin@counterfoil.example", "--credentials", "c.json")
    for expected in ("wrote c.json", "already there: c.json"):
        result = await server_side(*words)
        assert (result.code, result.out.strip()) == (0, expected)
        assert result.err.startswith(
            "Its administrator logs in as admin@counterfoil.example.\nIts token lives for 365d."
        )
    file = server_side.directory / "c.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(file.read_text())) >= {"url", "account", "admin_email", "admin_password", "admin_token"}
    result = await server_side(*words[:3], "--admin-email", "nobody", "--credentials", "other.json")
    assert (result.code, "An e-mail address has one @" in result.err) == (1, True)
    result = await server_side(*words[:2], "second", *words[3:])
    assert result.code == 2
    assert "name another file" in result.err


async def test_an_unwritable_file_is_not_reported_as_a_database_failure(server_side: Shell) -> None:
    (server_side.directory / "c.json.new").mkdir()
    result = await server_side("account", "create", "x", "--admin-email", "a@example.org", "--credentials", "c.json")
    assert (result.code, "c.json.new cannot be used: Is a directory." in result.err) == (2, True), result.err


async def test_a_missing_setting_is_named(server_side: Shell) -> None:
    for line in ("migrate MIGRATE_DATABASE_URL", "api PEPPERS", "worker REDIS_URL", "audit replay DATABASE_URL"):
        *words, name = line.split()
        empty: dict[str, Any] = {name: ""}
        result = await server_side(*words, **empty)
        assert result.code == 2
        assert f"{name} is not set" in result.err
        assert "Traceback" not in result.err


async def test_an_absent_database_is_reported_as_unreachable(server_side: Shell) -> None:
    result = await server_side("audit", "replay", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert result.code == 3
    assert "cannot be reached" in result.err


async def test_migrating_again_does_nothing(server_side: Shell) -> None:
    assert (await server_side("migrate")).out == "nothing to apply\n"


async def test_an_audit_ends_with_its_findings(server_side: Shell, database: Database) -> None:
    await server_side(
        "account", "create", "first", "--admin-email", "admin@counterfoil.example", "--credentials", "c.json"
    )
    result = await server_side("audit", "replay")
    assert (result.code, result.err) == (0, "")
    assert "5 events of 4 subjects" in result.out
    assert "every row is what its events say" in result.out
    connection = await asyncpg.connect(database.owner_url)
    token_id = await connection.fetchval("update token set scopes = '[]', hint = 'x' returning token_id")
    await connection.close()
    result = await server_side("audit", "replay")
    assert result.code == 1
    assert f'token {token_id}: column-differs scopes: stored [], replayed ["all"]' in result.out
    result = await server_side("audit", "replay", "--json")
    *findings, last = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 1
    assert [finding["field"] for finding in findings] == ["scopes", "hint"]
    assert (findings[0].get("stored"), findings[0]["replayed"]) == ([], ["all"])
    assert (last["summary"]["events"], last["summary"]["findings"]) == (5, 2)


async def test_findings_go_to_the_file_and_progress_to_the_terminal(server_side: Shell, database: Database) -> None:
    await server_side(
        "account", "create", "first", "--admin-email", "admin@counterfoil.example", "--credentials", "c.json"
    )
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute("update token set hint = 'x'")
    await connection.close()
    ours, theirs = pty.openpty()
    result = await server_side("audit", "replay", stderr=theirs, TERM="xterm")
    os.close(theirs)
    progress = os.read(ours, 1 << 16)
    os.close(ours)
    assert "column-differs hint" in result.out
    assert "\x1b" not in result.out
    assert b"auditing" in progress
    assert b"column-differs" not in progress


@pytest.mark.parametrize("module", ["counterfoil.cli", "counterfoil.client"])
async def test_importing_the_command_imports_no_server(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules))"
    loaded = (await asyncio.to_thread(subprocess.check_output, [sys.executable, "-c", code], text=True)).split()
    assert not {"asyncpg", "argon2", "dramatiq", "counterfoil_api", "counterfoil_worker", "redis"} & set(loaded)
    assert module == "counterfoil.client" or "typer" not in loaded


async def test_the_lifetime_of_the_first_token_is_shown_and_renewed(server_side: Shell) -> None:
    words = ("account", "create", "first", "--admin-email", "admin@counterfoil.example", "--credentials", "c.json")
    refused = await server_side(*words, "--token-lifetime", "soon")
    assert (refused.code, "'soon' is not a duration" in refused.err) == (1, True)
    result = await server_side(*words, "--token-lifetime", "90d")
    assert "Its token lives for 90d. Renew it before it expires: " in result.err
    assert "counterfoil account renew-token --credentials c.json" in result.err
    renewed = await server_side("account", "renew-token", "--credentials", "c.json", "--lifetime", "forever")
    assert (renewed.code, renewed.out) == (0, "expires never\n")
    again = await server_side("account", "renew-token", "--credentials", "c.json", "--lifetime", "30d")
    assert (again.code, again.out.startswith("expires 20")) == (0, True)
    nothing = await server_side("account", "renew-token", "--credentials", "none.json")
    assert (nothing.code, "create it with `counterfoil account create`" in nothing.err) == (2, True)
