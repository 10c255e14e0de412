"""`counterfoil events export`: the file contains the whole log, after any interruptions, and of no other ledger."""

import asyncio
import csv
import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.shell import Said, Shell
from cli.test_events_commands import filled
from cli.test_output import called
from client import cutting
from client.cutting import Proxy
from client.running import Service
from client.scripted import line, log_reply, scripted
from counterfoil.client import Client
from postgres.sealing import seal_all


async def exported(shell: Shell, *words: str, url: str | None = None) -> Said:
    elsewhere: dict[str, Any] = {} if url is None else {"COUNTERFOIL_URL": url}
    return await shell("events", "export", *words, **elsewhere)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for another process."""
    for _ in range(3_000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never happened")


async def test_an_export_contains_the_log_and_is_readable_only_by_its_owner(
    shell: Shell, ledger: Client, service: Service
) -> None:
    size = await filled(ledger, service, 40)
    done = await exported(shell, "log.ndjson")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{size} events added; log.ndjson holds the log up to position {size}.\n"
    file = shell.directory / "log.ndjson"
    assert [json.loads(each)["position"] for each in file.read_text().splitlines()] == [*range(1, size + 1)]
    assert file.read_bytes() == b"".join([each.line + b"\n" async for each in ledger.events()])
    assert {stat.S_IMODE(each.stat().st_mode) for each in (file, shell.directory / "log.ndjson.export")} == {0o600}
    await ledger.create("later")
    await seal_all(service.database.app_url)
    again = json.loads((await exported(shell, "log.ndjson", "--json")).out)
    assert again == {"file": "log.ndjson", "added": 1, "head": size + 1}


@pytest.mark.parametrize("form", ["ndjson", "csv"])
async def test_a_killed_export_continues_and_equals_an_uninterrupted_one(
    shell: Shell, ledger: Client, service: Service, form: str
) -> None:
    size = await filled(ledger, service)
    async with cutting.cutting(service.url) as proxy:
        await killed(shell, proxy, "broken", "--format", form)
    broken, whole = shell.directory / "broken", shell.directory / "whole"
    assert broken.stat().st_size > 0
    with broken.open("ab") as file:
        file.write(b'{"position":99,"entry":"{')  # as left by a crash in the middle of a write
    begun = broken.read_bytes().count(b"\n") - (form == "csv")
    done = await exported(shell, "broken", "--format", form, "--json")
    assert json.loads(done.out)["added"] == size - begun
    assert 0 < begun < size
    await exported(shell, "whole", "--format", form)
    assert broken.read_bytes() == whole.read_bytes()


async def killed(shell: Shell, proxy: Proxy, *words: str) -> None:
    """Export over a connection that stalls in the middle, and kill the command once it has written something."""
    proxy.failures.append(cutting.stalling(after=60_000))
    environment = {**os.environ, **shell.environment, "COUNTERFOIL_URL": proxy.url}
    command = [str(Path(sys.executable).with_name("counterfoil")), "events", "export", *words]
    process = await asyncio.create_subprocess_exec(*command, cwd=shell.directory, env=environment)
    try:
        file = shell.directory / words[0]
        await until(lambda: file.exists() and file.stat().st_size > 1_000)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


async def test_an_export_on_a_full_disk_reports_it_and_continues_later(
    shell: Shell, ledger: Client, service: Service
) -> None:
    size = await filled(ledger, service)

    full = await called(shell, ["events", "export", "log"], before="ulimit -f 40;")
    assert (full.code, "log cannot be written: File too large." in full.err) == (4, True), full
    assert "the same command goes on where the file ends" in full.err
    assert json.loads((await exported(shell, "log", "--json")).out)["head"] == size
    await exported(shell, "whole")
    assert (shell.directory / "log").read_bytes() == (shell.directory / "whole").read_bytes()


async def test_a_file_with_other_content_is_not_written(shell: Shell, ledger: Client, service: Service) -> None:
    await filled(ledger, service, 0)
    file = shell.directory / "log"
    assert (await exported(shell, "log", "--since", "7d")).code == 0
    held = file.read_bytes()
    for words, says in (
        (["log"], "log was begun with other filters (--since)."),
        (["log", "--since", "7d", "--type", "created", "--all-accounts"], "other filters (--type, --all-accounts)."),
        (["log", "--since", "7d", "--format", "csv"], "log was begun with --format ndjson."),
        (["/dev/null"], "/dev/null is not a regular file; name another one."),
        (["nowhere/log"], "nowhere/log cannot be written: No such file or directory."),
    ):
        refused = await exported(shell, *words)
        assert (refused.code, refused.out, says in refused.err) == (2, "", True), refused
    assert file.read_bytes() == held
    (shell.directory / "mine").write_text("my own notes\n")
    refused = await exported(shell, "mine")
    assert (refused.code, "mine exists, but mine.export, which says what it holds, cannot be read." in refused.err) == (
        2,
        True,
    )
    (shell.directory / "mine.export").write_bytes((shell.directory / "log.export").read_bytes())
    refused = await exported(shell, "mine", "--since", "7d")
    assert (refused.code, "the last whole line of mine is not an event of the log." in refused.err) == (2, True)
    assert (shell.directory / "mine").read_text() == "my own notes\n"
    assert (await exported(shell, "mine", "--since", "7d", "--force")).code == 0
    assert (shell.directory / "mine").read_bytes() == held


@pytest.mark.parametrize("form", ["ndjson", "csv"])
async def test_a_file_of_another_ledger_is_not_continued(
    shell: Shell, ledger: Client, service: Service, form: str
) -> None:
    await filled(ledger, service, 0)
    async with scripted(log_reply(line(1), head=1)) as other:
        assert (await exported(shell, "log", "--format", form, url=other.url)).code == 0
    held = (shell.directory / "log").read_bytes()
    refused = await exported(shell, "log", "--format", form)
    assert (refused.code, "ends with an event at position 1 that this ledger does not have" in refused.err) == (1, True)
    assert (shell.directory / "log").read_bytes() == held


async def test_a_duration_keeps_its_moment_when_an_export_continues(shell: Shell) -> None:
    async with scripted(log_reply(line(1), b'{"position":2}', head=2), log_reply(line(1), line(3), head=3)) as server:
        for _ in range(2):
            assert (await exported(shell, "log", "--since", "7d", url=server.url)).code == 0
    first, second = (requests.partition("since=")[2].partition("&")[0] for requests in server.requests)
    assert first == second
    assert first.startswith("20")


async def test_two_simultaneous_exports_into_one_file_are_not_mixed(
    shell: Shell, ledger: Client, service: Service
) -> None:
    await filled(ledger, service)
    async with cutting.cutting(service.url) as proxy:
        proxy.failures.append(cutting.stalling(after=100))
        slow = asyncio.create_task(shell("events", "export", "log", COUNTERFOIL_URL=proxy.url))
        await until((shell.directory / "log.export").exists)
        refused = await exported(shell, "log")
    assert (refused.code, "another export is writing to log; wait for its end." in refused.err) == (2, True)
    await slow


async def test_no_csv_cell_is_a_formula(shell: Shell, ledger: Client, service: Service) -> None:
    names = ["=cmd()", "+1", "-1", "@sum", "\uff1dcmd()", "a,b", 'quote"d', "=1,2"]
    for name in names:
        await ledger.create(name, description=name)
    await seal_all(service.database.app_url)
    assert (await exported(shell, "log.csv", "--format", "csv", "--kind", "token")).code == 0
    with (shell.directory / "log.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["position", "at", "kind", "subject", "version", "type", "by", "data", "private"]
    assert [json.loads(row[8])["name"] for row in rows][-len(names) :] == names
    assert not [cell for row in rows for cell in row if cell[:1] in "=+-@\uff1d\uff0b\uff0d\uff20\t\r\n" and cell]
