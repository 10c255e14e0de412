"""`counterfoil events tail` and `replay`: the log is shown in order, by every filter."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest

from cli.shell import Shell
from client.running import Service
from counterfoil.client import Client
from postgres.sealing import seal_all

MANY = 320
"""Events that make a file of more than one write."""


async def lines(shell: Shell, *words: str) -> list[dict[str, Any]]:
    """The replayed lines, with their entries parsed."""
    replayed = await shell("events", "replay", *words, "--json")
    assert (replayed.code, replayed.err) == (0, "")
    return [{**json.loads(each), **json.loads(json.loads(each)["entry"])} for each in replayed.out.splitlines()]


async def filled(ledger: Client, service: Service, count: int = MANY) -> int:
    """Fill the log with this many events and the read that a first reading adds; return its end."""
    async for _ in ledger.events():
        pass
    for begin in range(0, count, 40):
        await asyncio.gather(*(ledger.create(f"job-{begin + n}", description=token_urlsafe(150)) for n in range(40)))
    await seal_all(service.database.app_url)  # also counts the events of the system
    log = ledger.events(after="latest")
    assert [event async for event in log] == []
    assert log.head is not None
    return log.head


async def test_a_replay_shows_everything_in_order(shell: Shell, ledger: Client, service: Service) -> None:
    made = await ledger.create("nightly", owner=("service", "backup"))
    await ledger.revoke(made.token.id, reason="done")
    await seal_all(service.database.app_url)
    shown = await lines(shell)
    assert [each["position"] for each in shown] == [*range(1, len(shown) + 1)]
    ours = [each for each in shown if each["subject"]["id"] == str(made.token.id)]
    assert [(each["type"], each["version"]) for each in ours] == [("created", 1), ("revoked", 2)]
    table = await shell("events", "replay", COLUMNS="220")
    assert (table.code, table.err) == (0, "")
    assert "position  at" in table.out
    assert f"token {made.token.id}" in table.out
    plain = await shell("events", "replay")
    assert "name nightly" in plain.out.splitlines()[ours[0]["position"] - 1].split("\t")[5]
    behind = await lines(shell, "--after", str(ours[0]["position"]), "--limit", "1")
    assert [each["position"] for each in behind] == [ours[0]["position"] + 1]


async def test_every_filter_shows_exactly_its_events(shell: Shell, ledger: Client, service: Service) -> None:
    made = await ledger.create("nightly", owner=("service", "backup"))
    await ledger.suspend(made.token.id, reason="holidays")
    grace = (await ledger.create_user("grace@example.org", role="member")).user
    await seal_all(service.database.app_url)
    everything = await lines(shell)
    token, user = str(made.token.id), str(grace.id)
    admin = (await ledger.get("self")).id

    async def found(*words: str) -> list[int]:
        return [each["position"] for each in await lines(shell, *words)]

    def expected(wanted: Any) -> list[int]:
        return [each["position"] for each in everything if wanted(each)]

    assert await found("--token", str(made.token.number)) == expected(lambda e: e["subject"]["id"] == token)
    assert await found("--user", "grace@example.org") == expected(lambda e: e["subject"]["id"] == user)
    assert await found("--subject", user) == expected(lambda e: e["subject"]["id"] == user)
    assert await found("--kind", "token") == expected(lambda e: e["subject"]["kind"] == "token")
    types = {"created", "suspended"}
    assert await found("--type", "created", "--type", "suspended") == expected(lambda e: e["type"] in types)
    assert await found("--kind", "token", "--actor", str(admin)) == expected(
        lambda e: e["subject"]["kind"] == "token" and e["by"]["id"] == str(admin)
    )
    when = next(each["at"] for each in everything if each["type"] == "suspended")
    assert set(await found("--since", when)) >= set(expected(lambda e: e["at"] >= when))
    assert await found("--until", when) == expected(lambda e: e["at"] < when)
    nothing = await shell("events", "replay", "--until", "9d")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "There is nothing to show.\n")
    refused = await shell("events", "replay", "--all-accounts")
    assert (refused.code, refused.out) == (1, "")


async def test_the_latest_events_are_shown_with_a_filter_too(shell: Shell, ledger: Client, service: Service) -> None:
    first = await ledger.create("first")
    size = await filled(ledger, service, 40)
    shown = await shell("events", "tail", "--no-follow", "-n", "3", "--json")
    assert [json.loads(each)["position"] for each in shown.out.splitlines()] == [size - 2, size - 1, size]
    far = await shell("events", "tail", "--no-follow", "-n", "1", "--token", str(first.token.number), "--json")
    assert json.loads(json.loads(far.out)["entry"])["subject"]["id"] == str(first.token.id)
    none = await shell("events", "tail", "--no-follow", "-n", "0", "--json")
    assert (none.code, none.out) == (0, "")


async def test_a_position_beyond_the_end_is_refused_with_the_reason(
    shell: Shell, ledger: Client, service: Service
) -> None:
    await filled(ledger, service, 0)
    refused = await shell("events", "replay", "--after", "4711")
    assert (refused.code, refused.out) == (1, "")
    assert "The log ends at" in refused.err


@asynccontextmanager
async def tailing(shell: Shell, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command in a separate process, ended by Ctrl-C without an error."""
    command = [str(Path(sys.executable).with_name("counterfoil")), "events", "tail", *words]
    environment = {**os.environ, **shell.environment}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=shell.directory, env=environment, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 30)
        assert (process.returncode, err) == (0, b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.usefixtures("sealer")
async def test_a_tail_shows_events_as_they_happen(shell: Shell, ledger: Client, service: Service) -> None:
    size = await filled(ledger, service, 40)
    async with tailing(shell, "-n", "2", "--json") as process, asyncio.timeout(60):
        assert process.stdout is not None
        shown = [json.loads(await process.stdout.readline())["position"] for _ in range(2)]
        assert shown == [size - 1, size]
        made = await ledger.create("nightly")
        line = json.loads(await process.stdout.readline())
        assert line["position"] == size + 1
        assert json.loads(line["entry"])["subject"]["id"] == str(made.token.id)


@pytest.mark.usefixtures("sealer")
async def test_a_tail_in_a_terminal_is_a_growing_table(shell: Shell, ledger: Client, service: Service) -> None:
    await filled(ledger, service, 0)
    wide = Shell(shell.loaded, shell.directory, {**shell.environment, "COLUMNS": "220"})
    async with tailing(wide, "-n", "1", "--kind", "token") as process, asyncio.timeout(60):
        assert process.stdout is not None
        head, rule, first = [(await process.stdout.readline()).decode() for _ in range(3)]
        assert head.startswith("position  at")
        assert set(rule.strip()) == {"─"}
        made = await ledger.create("nightly")
        row = ""
        while str(made.token.id) not in row:  # a row may have several lines
            row = (await process.stdout.readline()).decode()
        assert row.index(str(made.token.id)) in {first.index("token "), first.index("token ") + len("token ")}
