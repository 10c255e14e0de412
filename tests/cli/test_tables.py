"""Tables fit the terminal, break no id, and are plain rows for programs."""

import fcntl
import json
import os
import pty
import re
import struct
import termios
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from cli.shell import Shell
from cli.test_user_commands import added
from client.running import Service
from counterfoil.cli.tables import table

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PART = re.compile(r"(?<![\w-])[0-9a-f]+-[0-9a-f-]{8,}(?![\w-])")
LONG = "a name that goes on and on, for nobody has ever said that it should be short"


def broken(text: str) -> list[str]:
    """Fragments of ids in the output."""
    return [
        found[0] for found in PART.finditer(text)
        if not ID.fullmatch(found[0])
    ]  # fmt: skip


def printed(capsys: pytest.CaptureFixture[str], heads: list[str], rows: list[list[str]]) -> tuple[str, str]:
    table(heads, rows)
    result = capsys.readouterr()
    return result.out, result.err


ids = st.integers(0, 2**128 - 1).map(lambda number: str(UUID(int=number)))
words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Z"]), max_size=40)
cells = st.one_of(ids, words, ids.map("user:{}".format), st.builds("{} by {}, {{{}}}".format, words, ids, ids))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.lists(cells, min_size=4, max_size=4), max_size=5), width=st.integers(64, 140))
def test_no_id_is_broken_and_no_line_is_longer_than_the_terminal(
    capsys: pytest.CaptureFixture[str], rows: list[list[str]], width: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COLUMNS", str(width))
        heads = ["no.", "name", "owner", "says"]
        out, err = printed(capsys, heads, [[str(number), *row[1:]] for number, row in enumerate(rows)])
    assert all(cell_len(line) <= width for line in out.splitlines())
    left_out = re.match(r"Left out at \d+ columns: (.*)\. A wider", err)
    for index, head in enumerate(heads):
        if left_out and head in left_out[1].split(", "):
            continue
        for row in rows:
            assert index == 0 or all(found[0] in out for found in ID.finditer(row[index]))


def test_a_time_and_its_remark_are_broken_only_between_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "32")
    out, _ = printed(capsys, ["name", "expires"], [["reports", "2027-02-26 01:34:55Z (in 90 d)"]])
    assert out.splitlines()[2:] == ["reports  2027-02-26 01:34:55Z", "         (in 90 d)"]


def test_the_least_important_columns_are_omitted_and_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    one, other = "01a20070-9783-75f2-ab79-af3b16925535", "01a20070-8de1-7662-8ce2-f32745a4d8a5"
    out, err = printed(capsys, ["no.", "id", "by", "scopes"], [["2", one, other, "a.b c.d"]])
    assert out.splitlines() == [
        f"no.  id{' ' * 36}scopes", "─" * 50, f"2    {one}  a.b c.d",
    ]  # fmt: skip
    assert err == "Left out at 60 columns: by. A wider terminal or --json shows them.\n"


def test_without_a_terminal_rows_are_plain(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    out, err = printed(capsys, ["no.", "name"], [["2", "tab\tand\nline"], ["3", "x" * 300]])
    assert (out, err) == (f"2\ttab\\tand\\nline\n3\t{'x' * 300}\n", "")


async def test_every_table_fits_80_columns_and_breaks_no_id(shell: Shell, server_side: Shell, service: Service) -> None:
    ada = await added(shell, email=f"{'ada' * 15}@example.org")
    made = json.loads(
        (await shell("token", "create", LONG, "--owner", f"user:{ada['id']}", "--lifetime", "1h", "--json")).out
    )["token"]
    await shell("token", "create", "other", "--owner", "service:ci", *("--scope", f"jobs.{'x' * 30}", "--scope", "a.b"))
    await service.sweep(UUID(made["account"]), UUID(made["id"]))
    await shell("token", "suspend", made["id"], "--reason", LONG)
    plan = json.loads((await shell("token", "revoke-many", "--name", "other", "--json")).out)["plan"]
    await shell("token", "revoke-many", "--name", "other", "--execute", "--plan", plan, "--reason", LONG, "--no-wait")
    await shell("login", ada["email"], typed="wrong\n")
    await shell("scope-set", "define", "billing", "--scope", "invoices.read", "--sentence", LONG)
    await server_side("keys", "rotate")
    listings: list[tuple[Shell, *tuple[str, ...]]] = [
        (shell, "token", "list"), (shell, "token", "events", made["id"]), (shell, "alerts"), (shell, "user", "list"),
        (shell, "user", "events", ada["id"]), (shell, "attempts"), (shell, "reads"),
        (shell, "token", "revoke-many", "--everything"),
        (shell, "token", "revocations", "list"), (shell, "scope", "list"), (shell, "scope-set", "list"),
        (server_side, "keys", "list"), (server_side, "pepper", "list"),
    ]  # fmt: skip
    for where, *words in listings:
        result = await where(*words, COLUMNS="80")
        assert result.code == 0, (words, result.err)
        assert not broken(result.out), words
        assert all(cell_len(line) <= 80 for line in result.out.splitlines() if not line.startswith("plan ")), words
        plain = await where(*words)
        assert "─" not in plain.out, words
        for line in (await where(*words, "--json")).out.splitlines():
            json.loads(line)


async def test_a_table_has_the_width_of_its_terminal(shell: Shell) -> None:
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        result = await shell("token", "list", stdout=theirs)
        seen = os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert result.code == 0
    assert "─" * 30 in seen
    assert max(len(line) for line in seen.splitlines()) <= 40
    assert re.search(r"Left out at 40 columns: .*owner", result.err)
