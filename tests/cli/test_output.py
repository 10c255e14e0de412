"""A new secret is shown, or reported as not shown together with the command that shows it again."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import counterfoil.cli
from cli.shell import Said, Shell
from cli.test_user_commands import added
from client.running import Service

SECRET = re.compile(r"cfl_\w+_[0-9A-Za-z]{49}")
NARROW = [
    {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]  # fmt: skip


@contextmanager
def output(kind: str) -> Iterator[int]:
    """An output that accepts nothing."""
    if kind == "full":
        handle = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, handle = os.pipe()
        os.close(reader)
    try:
        yield handle
    finally:
        os.close(handle)


def key_of(result: Said) -> str:
    found = re.search(
        r"--idempotency-key ([0-9a-f]{32})$", result.err, re.MULTILINE
    )  # at the end of a line, easy to copy
    assert found, result.err
    return found[1]


async def called(shell: Shell, words: list[str], redirected: str = "", before: str = "", **environment: str) -> Said:
    """Call the command in a separate process, as a shell would."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("COUNTERFOIL", "LC_", "LANG"))}
    command = Path(sys.executable).with_name("counterfoil")
    ran: subprocess.CompletedProcess[bytes] = await asyncio.to_thread(
        lambda: subprocess.run(
            ["/bin/sh", "-c", f'{before} exec "$0" "$@" {redirected}', command, *words],
            cwd=shell.directory, check=False,
            env={**clean, **shell.environment, **environment}, capture_output=True, timeout=100,
        )
    )  # fmt: skip
    return Said(ran.returncode, ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"))


@pytest.mark.parametrize("narrow", NARROW)
async def test_every_encoding_can_show_a_new_secret(shell: Shell, narrow: dict[str, str]) -> None:
    quiet = await called(shell, ["token", "create", "ci 🚀", "--quiet"], **narrow)
    assert (quiet.code, bool(SECRET.fullmatch(quiet.out.strip()))) == (0, True), quiet.err
    document = json.loads((await called(shell, ["token", "create", "ci 🚀 é", "--json"], **narrow)).out)
    assert (document["token"]["name"], bool(SECRET.fullmatch(document["secret"]))) == ("ci 🚀 é", True)
    shown = await called(shell, ["token", "rotate", document["token"]["id"], "--grace", "0s"], **narrow)
    assert shown.code == 0, shown.err
    assert SECRET.search(shown.out.splitlines()[0])


@pytest.mark.parametrize(("kind", "form"), [("full", ()), ("closed", ("--quiet",)), ("full", ("--json",))])
async def test_a_token_that_could_not_be_shown_is_shown_again_under_the_named_key(
    shell: Shell, service: Service, kind: str, form: tuple[str, ...]
) -> None:
    words = ("token", "create", "nightly", "--lifetime", "90d", *form)
    with output(kind) as taken:
        result = await shell(*words, stdout=taken)
    assert (result.code, "done, but not shown" in result.err) == (4, True), result.err
    if form == ("--json",):
        error = json.loads(result.err)
        assert (error["exit_code"], error["error"]["type"]) == (4, "not-shown")
        key = error["error"]["idempotency_key"]
    else:
        key = key_of(result)
    first, second = [await shell(*words, "--idempotency-key", key) for _ in range(2)]
    found = SECRET.search(first.out)
    assert found, first.err
    assert found[0] in second.out
    assert await service.tokens() == 1
    me = await shell("token", "show", "self", "--json", COUNTERFOIL_TOKEN=found[0])
    assert await service.types(json.loads(me.out)["id"]) == ["created"]


async def test_rotating_and_cloning_lose_no_secret(shell: Shell, service: Service) -> None:
    made = json.loads((await shell("token", "create", "nightly", "--json")).out)["token"]
    rotate, clone = ("token", "rotate", made["id"], "--grace", "0s"), ("token", "clone", made["id"])
    for words, kind in ((rotate, "full"), (clone, "closed")):
        with output(kind) as taken:
            lost = await shell(*words, "-q", stdout=taken)
        assert lost.code == 4
        again = await shell(*words, "-q", "--idempotency-key", key_of(lost))
        assert SECRET.fullmatch(again.out.strip()), again.err
    assert await service.types(made["id"]) == ["created", "rotated"]
    assert await service.tokens() == 2


async def test_passwords_are_not_lost(shell: Shell) -> None:
    kind, add = "full", ("user", "create", "ada@example.org", "--role", "operator")
    with output(kind) as taken:
        lost = await shell(*add, stdout=taken)
    made = json.loads((await shell(*add, "--json", "--idempotency-key", key_of(lost))).out)
    reset = ("user", "change-password", str(made["user"]["number"]))
    with output(kind) as taken:
        lost = await shell(*reset, stdout=taken)
    password = json.loads((await shell(*reset, "--json", "--idempotency-key", key_of(lost))).out)["password"]
    log_in = ("login", "ada@example.org", "--lifetime", "1h")
    with output(kind) as taken:
        lost = await shell(*log_in, typed=f"{password}\n", stdout=taken)
    again = await shell(*log_in, "--quiet", "--idempotency-key", key_of(lost), typed=f"{password}\n")
    assert SECRET.fullmatch(again.out.strip()), again.err


async def test_a_new_own_password_is_shown_again_to_the_holder_of_the_old_one(shell: Shell) -> None:
    ada = await added(shell)
    change = ("user", "change-password", "--email", ada["email"])
    with output("closed") as taken:
        lost = await shell(*change, stdout=taken, typed=f"{ada['password']}\n")
    assert lost.code == 4, lost.err
    assert (await shell("login", ada["email"], "-q", typed=f"{ada['password']}\n")).code == 1
    key = ("--idempotency-key", key_of(lost))
    other = await shell(*change, *key, typed="not the old password\n")
    assert (other.code, other.out) == (1, "")
    again = await shell(*change, *key, "--json", typed=f"{ada['password']}\n")
    assert again.code == 0, again.err
    document = json.loads(again.out)
    assert (await shell("login", ada["email"], "-q", typed=f"{document['password']}\n")).code == 0
    happened = await shell("user", "events", str(ada["number"]), "--json")
    assert [json.loads(line)["type"] for line in happened.out.splitlines()] == ["created", "password_changed"]


async def test_a_login_that_could_not_be_saved_is_saved_under_its_key(shell: Shell) -> None:
    ada = await added(shell)
    words, typed = ("login", ada["email"], "--save"), f"{ada['password']}\n"
    (shell.directory / "login.json.part").mkdir()
    lost = await shell(*words, "login.json", typed=typed)
    assert (lost.code, "login.json cannot be written" in lost.err) == (4, True), lost.err
    saved = await shell(*words, "other.json", "--idempotency-key", key_of(lost), typed=typed)
    assert saved.code == 0, saved.err
    listed = (await shell("token", "list", "--name", "login", "--json")).out.splitlines()
    assert len(listed) == 1
    for nowhere in ("no/such/directory.json", "/dev/full"):
        refused = await shell(*words, nowhere, typed=typed)
        assert (refused.code, "name another file" in refused.err) == (2, True), refused.err


async def test_a_change_without_a_secret_is_reported_too(shell: Shell) -> None:
    ada = await added(shell)
    with output("full") as taken:
        result = await shell("user", "disable", str(ada["number"]), "--reason", "on leave", stdout=taken)
    assert result.code == 4
    assert "this is done, but not shown: No space left on device" in result.err


async def test_a_reader_that_closes_the_pipe_causes_no_error(shell: Shell) -> None:
    await shell("token", "create", "another")
    with output("closed") as taken:
        for words in (("token", "list"), ("token", "list", "--json"), ("alerts",)):
            result = await shell(*words, stdout=taken)
            assert (result.code, result.err) in ((4, ""), (0, "There is nothing to show.\n"))


async def test_closed_streams_cause_no_crash(shell: Shell) -> None:
    lost = await called(shell, ["token", "create", "nightly"], ">&-")
    assert lost.code == 4, lost.err
    for unheard in ("2>&-", "2>/dev/full"):
        again = await called(shell, ["token", "create", "nightly", "-q", "--idempotency-key", key_of(lost)], unheard)
        assert (again.code, bool(SECRET.fullmatch(again.out.strip()))) == (0, True)


def test_only_the_output_module_writes_to_stdout() -> None:
    room = Path(counterfoil.cli.__file__).parent
    for file in room.glob("*.py"):
        if file.name != "output.py":
            text = file.read_text()
            assert not re.search(r"sys\.stdout\.write|typer\.echo|\bprint\(", text), file.name


def every(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, each in getattr(command, "commands", {}).items():
        yield from every(each, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


def test_every_command_that_shows_a_secret_accepts_the_key_that_shows_it_again() -> None:
    from counterfoil.cli.command_line import command  # noqa: PLC0415 - other tests need no typer

    takes = {" ".join(path) for path, each in every(command()) if "key" in {param.name for param in each.params}}
    assert takes >= {"token create", "token clone", "token rotate", "user create", "user change-password", "login"}
