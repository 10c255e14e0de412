"""`counterfoil alerts forecast` and `alerts spread`, with the real API."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from rich.cells import cell_len

from cli.shell import Shell
from client.running import Service
from counterfoil.cli.bar_chart import Bar, show_bars

DAY = timedelta(days=1)
CLIFF = "used tokens expire within 24 h from"


def midnight(days: int) -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + days * DAY


async def ending(
    shell: Shell, count: int, *, days: int, owner: str = "service:crm", more: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Tokens that expire together."""
    words = ("--owner", owner, "--expires-at", midnight(days).isoformat(), *more, "--json")
    result = [await shell("token", "create", f"job {number}", *words) for number in range(count)]
    assert {each.code for each in result} == {0}, result
    return [json.loads(each.out)["token"] for each in result]


async def use(service: Service, tokens: list[dict[str, Any]]) -> None:
    connection = await asyncpg.connect(service.database.owner_url)
    await connection.execute(
        "insert into token_use (account_id, token_id, day, generation, count, last_at)"
        " select account_id, token_id, current_date, 1, 7, now() from token where token_id = any($1)",
        [UUID(token["id"]) for token in tokens],
    )
    await connection.close()


async def crowd(shell: Shell, service: Service, count: int = 14) -> list[dict[str, Any]]:
    tokens = await ending(shell, count, days=30)
    await use(service, tokens)
    return tokens


async def spread(shell: Shell, *words: str) -> dict[str, Any]:
    result = await shell("alerts", "spread", *words, "--json")
    assert result.code == 0, result.err
    report: dict[str, Any] = json.loads(result.out)
    return report


async def test_the_forecast_is_a_chart_that_fits_the_terminal(shell: Shell, service: Service) -> None:
    assert (await shell("alerts", "forecast")).err == "No token expires within 90 days.\n"
    await use(service, await ending(shell, 8, days=20))
    await ending(shell, 4, days=3, owner="service:idle")
    for width in (40, 80, 200):
        result = await shell("alerts", "forecast", COLUMNS=str(width))
        assert (result.code, result.err) == (0, "")
        assert all(cell_len(line) <= width for line in result.out.splitlines())
        legend, idle, busy = result.out.splitlines()
        assert "not used" in legend
        assert (idle[:10], busy[:10]) == (str(midnight(3).date()), str(midnight(20).date()))
        assert idle.count("░") == busy.count("█") // 2 > 0
        assert (busy.count("░"), idle.count("█")) == (0, 0)
        assert ("8 (8)" in busy, "4 (0)" in idle) == (True, True)
    assert "service:crm 8" in busy
    rows = (await shell("alerts", "forecast")).out.splitlines()
    assert rows == [f"{midnight(3).date()}\t4\t0\tservice:idle 4", f"{midnight(20).date()}\t8\t8\tservice:crm 8"]


def test_a_terminal_without_blocks_gets_ascii(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr("counterfoil.cli.bar_chart.encodable", lambda _: False)
    show_bars(
        [Bar("a", 4, 4, "x\x1b[31m" + "y" * 90), Bar("b", 2, 1, ""), Bar("c", 1, 0, "")],
        heads=("day", "tokens", "used", "owners"),
    )
    legend, *lines = capsys.readouterr().out.splitlines()
    assert legend == "# used  - not used; tokens (used); owners"
    assert [(line.count("#"), line.count("-")) for line in lines] == [(20, 0), (5, 5), (0, 5)]
    assert len(lines[0]) == 50
    assert "\x1b" not in lines[0]


async def test_a_cliff_is_a_warning_above_alerts_and_forecast(shell: Shell, service: Service) -> None:
    await crowd(shell, service)
    expected = f"warning: 14 {CLIFF} {midnight(30):%Y-%m-%d} 00:00:00Z on; spread them with: counterfoil alerts spread"
    for words in (("alerts",), ("alerts", "forecast"), ("alerts", "--within", "7d", "--json")):
        result = await shell(*words)
        assert (result.code, expected in result.err) == (0, True), result
    document = json.loads((await shell("alerts", "forecast", "--json")).out)
    assert [cliff["used"] for cliff in document["cliffs"]] == [14]
    assert CLIFF not in (await shell("alerts", "forecast", "--min-used", "15")).err
    assert CLIFF not in (await shell("alerts", "forecast", "--owner", "service:idle")).err


async def test_spreading_shows_its_plan_and_carries_it_out_once(shell: Shell, service: Service) -> None:
    tokens = await crowd(shell, service)
    shown = await shell("alerts", "spread", "--dry-run")
    assert (shown.code, len(shown.out.splitlines())) == (0, 5)
    assert "Nothing was changed. To move these 5 tokens" in shown.err
    planned = json.loads((await shell("alerts", "spread", "--dry-run", "--json")).out)["moves"]
    before = {token["id"]: token["expires_at"] for token in tokens}
    assert {move["id"]: move["expires_at"] for move in planned}.items() <= before.items()
    result = await shell("alerts", "spread")
    assert (result.code, result.out) == (0, "5 moved, 0 refused\n")
    listed = (await shell("token", "list", "--owner", "service:crm", "--json")).out.splitlines()
    after = {token["id"]: token["expires_at"] for token in map(json.loads, listed)}
    assert after == before | {move["id"]: move["new_expires_at"] for move in planned}
    assert await spread(shell) == {"moved": 0, "refused": [], "left_over": 0}
    assert "There is nothing to spread." in (await shell("alerts", "spread", "--dry-run")).err


async def test_two_commands_at_once_move_each_token_once(shell: Shell, service: Service) -> None:
    tokens = await crowd(shell, service, 30)
    reports = await asyncio.gather(spread(shell), spread(shell))
    assert sum(report["moved"] for report in reports) == 21
    assert [report["refused"] for report in reports] == [[], []]
    listings = [await shell("token", "events", token["id"], "--json") for token in tokens]
    types = [[json.loads(line)["type"] for line in result.out.splitlines()] for result in listings]
    assert sorted(types).count(["created", "renewed"]) == 21


async def test_tokens_that_may_not_be_renewed_are_reported_and_the_others_move(shell: Shell, service: Service) -> None:
    wide = await ending(shell, 12, days=30, more=("--scope", "jobs.run"))
    await use(service, wide)
    await crowd(shell, service, 2)
    lesser = (await shell("token", "create", "lesser", "--scope", "alerts.read", "--scope", "tokens.renew", "-q")).out
    result = await shell("alerts", "spread", COUNTERFOIL_TOKEN=lesser.strip())
    assert (result.code, result.out) == (1, "2 moved, 12 refused\n")
    assert "3 used tokens too many still expire together" in result.err
    for token in wide:
        assert f"token {token['number']} keeps its expiry: The caller does not hold jobs.run" in result.err
    assert await spread(shell) == {"moved": 3, "refused": [], "left_over": 0}


@pytest.mark.parametrize(("option", "value"), [("--window", "soon"), ("--days", "0"), ("--min-percent", "101")])
async def test_wrong_options_are_refused_before_any_request(shell: Shell, option: str, value: str) -> None:
    assert (await shell("alerts", "spread", option, value, COUNTERFOIL_URL="http://127.0.0.1:1")).code == 2
