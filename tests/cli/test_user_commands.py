"""`counterfoil user` for administrators and users."""

import asyncio
import json
import os
import re
import stat
import sys
from pathlib import Path
from time import time
from typing import Any

from pyotp import TOTP

from cli.shell import Said, Shell
from client.running import Service

OWN = "a password of my own choice"


async def added(shell: Shell, email: str = "ada@example.org", role: str = "operator") -> dict[str, Any]:
    result = await shell("user", "create", email, "--role", role, "--json")
    assert result.code == 0, result.err
    made: dict[str, Any] = json.loads(result.out)
    return {**made["user"], "password": made["password"]}


async def test_a_token_with_an_expiry_adds_no_user_but_a_password_does(shell: Shell, service: Service) -> None:
    words = ("--owner", "user:1", "--scope", "all", "--lifetime", "1h", "--quiet")
    issued = await shell("token", "create", "passing", *words)
    whole = {**json.loads(service.credentials.read_text()), "admin_token": issued.out.strip()}
    for name, kept in {
        "whole.json": whole,
        "alone.json": {"url": whole["url"], "admin_token": whole["admin_token"]},
        "wrong.json": {**whole, "admin_password": "not the password"},
    }.items():
        shell.directory.joinpath(name).write_text(json.dumps(kept))
        shell.directory.joinpath(name).chmod(0o600)

    async def create(email: str, file: str) -> Said:
        return await shell("user", "create", email, "--role", "auditor", "--json", "--credentials", file)

    made = await create("ada@example.org", "whole.json")
    assert made.code == 0, made.err
    assert json.loads(made.out)["user"]["email"] == "ada@example.org"
    alone = await create("bob@example.org", "alone.json")
    assert (alone.code, "e-mail address and password" in alone.err) == (1, True)
    wrong = await create("eve@example.org", "wrong.json")
    assert (wrong.code, "credentials-refused" in wrong.err) == (1, True)


async def test_a_user_is_added_shown_listed_and_changed(shell: Shell) -> None:
    result = await shell("user", "create", "ada@example.org", "--role", "operator", "--scope", "invoices.read")
    assert result.code == 0, result.err
    shown = dict(line.split(maxsplit=1) for line in result.out.splitlines() if not line.startswith("one-time"))
    assert (shown["e-mail"], shown["role"], shown["scopes"]) == ("ada@example.org", "operator", "invoices.read")
    assert len(shown["password"]) == 24
    assert "not shown again" in result.err
    listed = await shell("user", "list", "--role", "operator")
    assert "ada@example.org" in listed.out
    assert shown["password"] not in listed.out
    changed = await shell("user", "update", shown["number"], "--role", "member", "--no-scopes", "--json")
    assert (json.loads(changed.out)["role"], json.loads(changed.out)["scopes"]) == ("member", [])
    stale = await shell("user", "update", shown["number"], "--role", "auditor", "--if-match", "1")
    assert (stale.code, "stale-revision" in stale.err) == (1, True)
    happened = await shell("user", "events", shown["number"], "--json")
    assert [json.loads(line)["type"] for line in happened.out.splitlines()] == ["created", "updated"]


async def test_a_user_is_disabled_enabled_and_removed(shell: Shell) -> None:
    number = str((await added(shell))["number"])
    for words, status in (
        (("disable", number, "--reason", "on leave"), "disabled"),
        (("enable", number), "active"),
        (("remove", number, "--reason", "left"), "removed"),
    ):
        result = await shell("user", *words, "--json")
        assert json.loads(result.out)["status"] == status
    assert "(forgotten)" in (await shell("user", "show", number)).out


async def test_removing_the_last_administrator_is_refused_with_the_reason(shell: Shell) -> None:
    result = await shell("user", "remove", "self", "--reason", "x")
    assert result.code == 1
    assert "last active administrator" in result.err


async def test_a_login_saves_or_prints_a_token(shell: Shell) -> None:
    ada = await added(shell)
    result = await shell("login", ada["email"], "--quiet", typed=f"{ada['password']}\n")
    assert result.code == 0, result.err
    me = await shell("user", "show", "self", "--json", COUNTERFOIL_TOKEN=result.out.strip())
    assert json.loads(me.out)["id"] == ada["id"]
    saved = await shell("login", ada["email"], "--save", "login.json", "--lifetime", "5m", typed=f"{ada['password']}\n")
    assert (saved.code, saved.out) == (0, "")
    file = shell.directory / "login.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (await shell("token", "list", "--credentials", "login.json")).code == 0
    again = await shell("login", ada["email"], "--save", "login.json", typed=f"{ada['password']}\n")
    assert again.code == 0
    (shell.directory / "other.json").write_text('{"url": "x", "admin_token": "y", "admin_password": "z"}')
    refused = await shell("login", ada["email"], "--save", "other.json", typed=f"{ada['password']}\n")
    assert refused.code == 2
    assert "is not a login file" in refused.err


async def test_a_wrong_and_a_missing_password_are_refused(shell: Shell) -> None:
    ada = await added(shell)
    wrong = await shell("login", ada["email"], typed="not my password\n")
    assert (wrong.code, "credentials-refused" in wrong.err) == (1, True)
    silent = await shell("login", ada["email"])
    assert (silent.code, "no answer was given to" in silent.err) == (2, True)
    assert "not my password" not in wrong.err


async def test_a_user_changes_their_password_and_an_administrator_resets_it(shell: Shell) -> None:
    ada = await added(shell)
    changed = await shell(
        "user", "change-password", "--email", ada["email"], "--choose", "--json", typed=f"{ada['password']}\n{OWN}\n"
    )
    assert changed.code == 0, changed.err
    assert json.loads(changed.out)["password"] is None
    reset = await shell("user", "change-password", str(ada["number"]), "--json")
    password = json.loads(reset.out)["password"]
    assert (await shell("login", ada["email"], "--quiet", typed=f"{OWN}\n")).code == 1
    assert (await shell("login", ada["email"], "--quiet", typed=f"{password}\n")).code == 0
    both = await shell("user", "change-password", "1", "--email", ada["email"])
    assert both.code == 2


async def test_one_time_codes_are_enrolled_requested_and_removed(shell: Shell) -> None:
    ada = await added(shell)
    # The code can be typed only after the seed was shown: here the enrolment is begun and then abandoned.
    begun = await shell("user", "totp", "enrol", ada["email"], typed=f"{ada['password']}\n")
    assert (begun.code, begun.out) == (2, "")
    assert "otpauth://totp/Counterfoil:" in begun.err
    enrolled = await enrolled_with(shell, ada)
    codes = [code for code in enrolled.splitlines() if code]
    assert len(codes) == 10
    without = await shell("login", ada["email"], "--quiet", typed=f"{ada['password']}\n")
    assert (without.code, "no answer was given to 'One-time code" in without.err) == (2, True)
    with_code = await shell("login", ada["email"], "--quiet", typed=f"{ada['password']}\n{codes[0]}\n")
    assert with_code.code == 0, with_code.err
    assert "9 recovery codes left" in (await shell("user", "show", str(ada["number"]))).out
    removed = await shell("user", "totp", "remove", str(ada["number"]), "--json")
    assert json.loads(removed.out)["totp"] is False
    assert (await shell("login", ada["email"], "--quiet", typed=f"{ada['password']}\n")).code == 0


async def enrolled_with(shell: Shell, ada: dict[str, Any]) -> str:
    """Enrol as at a terminal: read the seed, then type the code."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("counterfoil"), "user", "totp", "enrol", ada["email"], cwd=shell.directory,
        env={**os.environ, **shell.environment}, stdin=pipe, stdout=pipe, stderr=pipe,
    )  # fmt: skip
    assert process.stdin
    assert process.stderr
    process.stdin.write(f"{ada['password']}\n".encode())
    shown = re.search(r"authenticator: (\w+)", (await process.stderr.readline()).decode())
    assert shown
    out, err = await process.communicate(f"{TOTP(shown[1]).at(time())}\n".encode())
    assert process.returncode == 0, err
    return out.decode()


async def test_a_user_may_be_named_by_number_address_or_id_in_every_command(shell: Shell) -> None:
    ada = await added(shell)
    listed = json.loads((await shell("user", "list", "--email", "ada@*", "--json")).out)
    assert listed["id"] == ada["id"]
    assert ada["id"] in (await shell("user", "list", COLUMNS="300")).out
    for name in (str(ada["number"]), ada["email"], ada["id"]):
        made = await shell("token", "create", f"for {name}", "--owner", f"user:{name}", "--json")
        assert json.loads(made.out)["token"]["owner"] == {"type": "user", "id": ada["id"]}
        assert json.loads((await shell("user", "show", name, "--json")).out)["id"] == ada["id"]
    for name in (str(ada["number"]), ada["email"]):
        found = (await shell("token", "list", "--owner", f"user:{name}", "--json")).out
        assert len(found.splitlines()) == 3
        planned = await shell("token", "revoke-many", "--owner", f"user:{name}", "--json")
        assert json.loads(planned.out)["tokens"] == 3
        assert (await shell("reads", "--reader", f"user:{name}", "--json")).code == 0
    for words in (
        ("token", "create", "x", "--owner", "user:nobody@example.org"), ("token", "list", "--owner", "user:987654"),
        ("token", "revoke-many", "--owner", "user:nobody@example.org"), ("attempts", "--subject", "user:987654"),
        ("reads", "--reader", "nobody@example.org"),
    ):  # fmt: skip
        refused = await shell(*words)
        assert (refused.code, refused.out) == (1, "")
        assert "unknown-user" in refused.err
