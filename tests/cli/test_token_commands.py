"""`counterfoil token` and `counterfoil alerts` for people and scripts, with the real API."""

import json
import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from cli.shell import Shell
from client.cutting import cutting, lose_the_answer
from client.running import Service

SECRET = re.compile(r"cfl_\w+_[0-9A-Za-z]{49}")
ALERTS = "counterfoil alerts --within 1d"


async def issued(shell: Shell, *words: str) -> tuple[dict[str, Any], str]:
    result = await shell("token", "create", *words, "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    return document["token"], document["secret"]


async def test_a_token_goes_through_its_whole_life_on_the_command_line(shell: Shell) -> None:
    token, secret = await issued(
        shell, "nightly", "--owner", "service:backup", "--scope", "jobs.run", "--scope", "jobs.read",
        "--metadata", "team=ops", "--lifetime", "90d",
    )  # fmt: skip
    ref = str(token["number"])
    steps = [
        ("show", ref), ("update", ref, "--name", "weekly", "--if-match", "1"), ("renew", ref, "--lifetime", "30d"),
        ("suspend", ref, "--reason", "holidays"), ("resume", ref), ("rotate", ref, "--grace", "1h"),
        ("clone", ref, "--name", "copy"), ("show", ref, "--as-of", "1"),
    ]  # fmt: skip
    for step in steps:
        result = await shell("token", *step, "--json")
        assert (result.code, result.err) == (0, ""), step
        json.loads(result.out)
    bearer = json.loads((await shell("token", "exchange", "--json", COUNTERFOIL_TOKEN=secret)).out)
    assert bearer["access_token"].count(".") == 2
    assert (await shell("token", "revoke", ref, "--reason", "done")).code == 0
    events = [json.loads(line) for line in (await shell("token", "events", ref, "--json")).out.splitlines()]
    assert [event["type"] for event in events] == [
        "created", "updated", "renewed", "suspended", "resumed", "rotated", "exchanged", "revoked",
    ]  # fmt: skip
    listed = [json.loads(line) for line in (await shell("token", "list", "--sort", "name", "--json")).out.splitlines()]
    assert [each["name"] for each in listed] == ["administrator", "copy", "weekly"]


async def test_a_number_of_uses_is_set_shown_and_removed(shell: Shell) -> None:
    made = await shell("token", "create", "few", "--max-uses", "3", "--json")
    token = json.loads(made.out)["token"]
    assert (token["max_uses"], token["uses_left"]) == (3, 3)
    copy = json.loads((await shell("token", "clone", str(token["number"]), "--max-uses", "2", "--json")).out)["token"]
    assert copy["max_uses"] == 2
    shown = await shell("token", "show", str(token["number"]))
    assert "at most 3, 3 left" in shown.out
    lifted = await shell("token", "update", str(token["number"]), "--max-uses", "none", "--json")
    assert json.loads(lifted.out)["max_uses"] is None
    refused = await shell("token", "create", "few", "--max-uses", "many")
    assert (refused.code, "write one such as 100, or none" in refused.err) == (2, True)


async def test_networks_and_a_rate_limit_are_set_shown_and_removed(shell: Shell) -> None:
    bounds = ("--network", "127.0.0.0/8", "--network", "::1/128", "--rate-limit", "600/1m")
    token, _ = await issued(shell, "bounded", *bounds)
    ref = str(token["number"])
    shown = (await shell("token", "show", ref)).out
    assert "127.0.0.0/8 ::1/128" in shown
    assert "600/1m" in shown
    assert "by token 1 administrator" in shown
    copy = json.loads((await shell("token", "clone", ref, "--rate-limit", "60/1m", "--json")).out)["token"]
    assert (copy["networks"], copy["rate_limit"]) == (["127.0.0.0/8", "::1/128"], "60/1m")
    lifted = await shell("token", "update", ref, "--network", "any", "--rate-limit", "none", "--json")
    assert (json.loads(lifted.out)["networks"], json.loads(lifted.out)["rate_limit"]) == ([], None)


async def test_a_script_gets_only_the_secret(shell: Shell) -> None:
    result = await shell("token", "create", "nightly", "--lifetime", "90d", "--quiet")
    assert SECRET.fullmatch(result.out.strip())
    assert result.err == ""
    bearer = await shell("token", "exchange", "-q", COUNTERFOIL_TOKEN=result.out.strip())
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", bearer.out)


async def test_a_terminal_shows_tables_and_the_secret_once(shell: Shell) -> None:
    result = await shell("token", "create", "nightly", "--lifetime", "90d", "--description", "what it is for")
    assert len(SECRET.findall(result.out)) == 1
    assert "not shown again" in result.err
    assert not SECRET.search(result.err)
    for words in (("list",), ("show", "self"), ("events", "self")):
        result = await shell("token", *words)
        assert (result.code, result.err) == (0, "")
        assert not SECRET.search(result.out)
    assert "nightly" in (await shell("token", "list")).out


async def test_alerts_name_expired_tokens(shell: Shell, service: Service) -> None:
    assert (await shell("alerts")).err == "There is nothing to show.\n"
    token, _ = await issued(shell, "nightly", "--lifetime", "1us")
    await service.sweep(UUID(token["account"]), UUID(token["id"]))
    result = await shell("alerts")
    assert (result.code, result.err) == (0, "")
    assert re.search(rf"{token['number']}\tnightly\texpired\t\S+ \S+Z \(\d+ s ago\)", result.out)
    (alert,) = [json.loads(line) for line in (await shell("alerts", "--json")).out.splitlines()]
    assert (alert["kind"], alert["token"]["id"]) == ("expired", token["id"])


async def test_a_rotation_is_shown_extended_and_confirmed(shell: Shell) -> None:
    token, secret = await issued(shell, "nightly", "--lifetime", "90d")
    ref = str(token["number"])
    never = await shell("token", "rotation", ref)
    assert (never.code, "rotated         never" in never.out) == (0, True)
    new = json.loads((await shell("token", "rotate", ref, "--grace", "1h", "--json")).out)["token"]["hint"]
    assert (await shell("token", "show", "self", COUNTERFOIL_TOKEN=secret)).code == 0
    seen: dict[str, Any] = {"previous": {"uses": 0}}
    while not seen["previous"]["uses"]:
        seen = json.loads((await shell("token", "rotation", ref, "--json")).out)
    shown = (await shell("token", "rotation", ref)).out
    assert re.search(rf"new secret +{re.escape(new)}, never used\n", shown)
    assert re.search(r"its uses +1 since the rotation, last \S+ \S+Z\n", shown)
    assert re.search(r"from +127\.0\.0\.0/24: 1, last \S+ \S+Z, still uses it\n", shown)
    extended = json.loads((await shell("token", "extend-grace", ref, "--grace", "2d", "--json")).out)
    assert extended["previous_secret_until"] > seen["previous"]["good_until"]
    refused = await shell("token", "confirm-rotation", ref)
    assert (refused.code, "even_if_unused" in refused.err) == (1, True)
    confirmed = await shell("token", "confirm-rotation", ref, "--even-if-unused", "--json")
    assert json.loads(confirmed.out)["previous_secret_until"] is None
    assert re.search(r"previous secret +\S+, ended\n", (await shell("token", "rotation", ref)).out)


async def test_alerts_mark_tokens_of_disabled_owners(shell: Shell) -> None:
    user = json.loads((await shell("user", "create", "away@example.org", "--role", "member", "--json")).out)["user"][
        "id"
    ]
    await issued(shell, "away", "--owner", f"user:{user}", "--lifetime", "20h")
    assert (await shell("user", "disable", user, "--reason", "on leave")).code == 0
    assert f"user:{user} (disabled)" in (await shell("alerts", "--within", "1d")).out
    (alert,) = (await shell("alerts", "--within", "1d", "--json")).out.splitlines()
    assert json.loads(alert)["owner_status"] == "disabled"
    assert (await shell("user", "remove", user, "--reason", "left")).code == 0
    assert (await shell("alerts", "--within", "1d")).out == ""


async def test_lists_and_alerts_are_filtered_by_creator(shell: Shell) -> None:
    token, secret = await issued(shell, "minter", "--scope", "tokens.create")
    for name, lifetime in (("child", "20h"), ("younger child", "forever")):
        made = await shell("token", "create", name, "--lifetime", lifetime, COUNTERFOIL_TOKEN=secret)
        assert made.code == 0, made.err
    which = ("--creator", f"token:{token['number']}")
    listed = [json.loads(line) for line in (await shell("token", "list", *which, "--json")).out.splitlines()]
    assert [(each["name"], each["creator"]["id"]) for each in listed] == [
        ("child", token["id"]), ("younger child", token["id"])
    ]  # fmt: skip
    assert "younger child" in (await shell("token", "list", *which)).out
    alerts = await shell("alerts", *which)
    assert f"1 tokens expire within a day without a notice; see them with: {ALERTS} {' '.join(which)}" in alerts.err
    (alert,) = (await shell("alerts", "--within", "1d", *which, "--json")).out.splitlines()
    assert json.loads(alert)["token"]["name"] == "child"
    nobody = await shell("token", "list", "--creator", "7")
    assert (nobody.code, "write user:7 or token:7" in nobody.err) == (1, True)


async def test_alerts_are_filtered_by_owner_and_by_use(shell: Shell) -> None:
    for owner in ("service:a", "service:b"):
        await issued(shell, f"of {owner}", "--owner", owner, "--lifetime", "20h")
    which = ("--owner", "service:a")
    outcome = await shell("alerts", "--within", "1d", *which, "--unused", "--json")
    (alert,) = [json.loads(line) for line in outcome.out.splitlines()]
    assert alert["token"]["owner"] == {"type": "service", "id": "a"}
    assert (await shell("alerts", "--within", "1d", *which, "--used", "--json")).out == ""
    assert (
        f"1 tokens expire within a day without a notice; see them with: {ALERTS} {' '.join(which)}"
        in (await shell("alerts", *which)).err
    )


async def test_alerts_always_mention_tokens_that_expire_within_a_day(shell: Shell) -> None:
    for name, lifetime in (("soon", "20h"), ("sooner", "2h"), ("later", "6d")):
        await issued(shell, name, "--lifetime", lifetime)
    silent = await shell("alerts")
    assert "2 tokens expire within a day without a notice" in silent.err
    assert "counterfoil alerts --within 1d" in silent.err
    shown = await shell("alerts", "--within", "7d")
    assert (shown.code, shown.err) == (0, "")
    for name in ("soon", "sooner", "later"):
        assert re.search(rf"\t{name}\t.*no notice", shown.out)
    reported = [json.loads(line) for line in (await shell("alerts", "--within", "1d", "--json")).out.splitlines()]
    assert {each["token"]["name"]: each["at"] for each in reported} == {"soon": None, "sooner": None}
    wrong = await shell("alerts", "--within", "soon")
    assert wrong.code == 2
    assert "'soon' is not a duration" in wrong.err


async def test_a_list_reports_that_there_is_more(shell: Shell) -> None:
    for number in range(2):
        await issued(shell, f"job-{number}")
    result = await shell("token", "list", "--limit", "2")
    assert "job-1" not in result.out
    assert "more than these 2" in result.err
    assert len((await shell("token", "list", "--limit", "2", "--json")).out.splitlines()) == 2


async def test_the_command_warns_when_its_own_token_expires_soon(shell: Shell, service: Service) -> None:
    token, _ = await issued(shell, "nightly", "--lifetime", "30d")
    connection = await asyncpg.connect(service.database.owner_url)
    await connection.execute(
        "update token set created_at = created_at - interval '28 days', expires_at = expires_at - interval '28 days'"
        " where name = 'nightly'"
    )
    await connection.close()
    result = await shell("token", "show", str(token["number"]))
    assert re.search(r"warning: token \d+ expires in 48 h; renew it with: counterfoil token renew", result.err)


async def test_a_refusal_shows_what_why_and_the_request_id(shell: Shell) -> None:
    token, _ = await issued(shell, "nightly")
    await shell("token", "revoke", token["id"], "--reason", "done")
    result = await shell("token", "rotate", token["id"], "--grace", "0s")
    assert (result.code, result.out) == (1, "")
    assert "issue a new one instead" in result.err
    assert re.search(r"\(already-revoked, HTTP 409, request \w+\)", result.err)
    result = await shell("token", "rotate", token["id"], "--grace", "0s", "--json")
    assert json.loads(result.err)["error"]["status"] == 409
    result = await shell("token", "list", COUNTERFOIL_TOKEN="cfl_user_wrong")
    assert result.code == 1
    assert "COUNTERFOIL_TOKEN" in result.err


async def test_a_rotation_requires_its_grace(shell: Shell) -> None:
    result = await shell("token", "rotate", "1")
    assert result.code == 2
    assert "--grace 24h" in result.err
    assert "--grace 0s" in result.err


async def test_a_rotation_that_would_end_a_secret_early_needs_an_option(shell: Shell) -> None:
    token, _ = await issued(shell, "nightly")
    words = ("token", "rotate", token["id"], "--grace", "1h")
    assert (await shell(*words)).code == 0
    refused = await shell(*words)
    assert (refused.code, refused.out) == (1, "")
    assert "(previous-secret-good, HTTP 409" in refused.err
    done = await shell(*words, "--ends-previous")
    assert (done.code, "An earlier secret, which was to be good until " in done.err) == (0, True)
    reported = json.loads((await shell(*words, "--ends-previous", "--json")).out)
    assert reported["ended_early"] < reported["token"]["previous_secret_until"]


@pytest.mark.parametrize(
    "words",
    [
        ("token", "create", "x", "--owner", "backup"), ("token", "create", "x", "--metadata", "team"),
        ("token", "create", "x", "--expires-at", "tomorrow"), ("token", "rotate", "1"), ("token", "show", "../keys"),
        ("token", "list", "--limit", "0"), ("nonsense",),
    ],
)  # fmt: skip
async def test_an_invalid_combination_is_a_usage_error(shell: Shell, words: tuple[str, ...]) -> None:
    result = await shell(*words)
    assert (result.code, result.out) == (2, "")
    assert "Traceback" not in result.err


async def test_credentials_come_from_a_file_or_the_environment_and_are_never_mixed(
    shell: Shell, service: Service
) -> None:
    bare = replace(shell, directory=shell.directory / "elsewhere", environment={})
    bare.directory.mkdir()
    assert "there is no .counterfoil/credentials.json" in (await bare("token", "list")).err
    assert (await bare("token", "show", "self", "--credentials", str(service.credentials))).code == 0
    result = await bare("token", "list", COUNTERFOIL_URL=service.url)
    assert result.code == 2
    assert "without COUNTERFOIL_TOKEN" in result.err
    (bare.directory / ".counterfoil").mkdir()
    default = bare.directory / ".counterfoil" / "credentials.json"
    default.write_bytes(service.credentials.read_bytes())
    default.chmod(0o644)
    result = await bare("token", "show", "self")
    assert result.code == 0
    assert "others can read" in result.err


async def test_text_from_the_server_cannot_control_the_terminal(shell: Shell, service: Service) -> None:
    token, _ = await issued(shell, "nightly")
    connection = await asyncpg.connect(service.database.owner_url)
    # The ledger refuses such text; an older or hostile server might not.
    await connection.execute("update token set name = $1, description = $1", "a\x1b[31m\x9b1m\u202e[red]\nb")
    await connection.close()
    for words in (("show", token["id"]), ("list",), ("list", "--json")):
        result = await shell("token", *words)
        assert result.code == 0
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", result.out)
        assert "[red]" in result.out
    assert json.loads((await shell("token", "show", token["id"], "--json")).out)["name"].startswith("a\x1b[31m")


async def test_a_rotation_with_an_unknown_outcome_names_the_next_command(shell: Shell, service: Service) -> None:
    token, secret = await issued(shell, "nightly", "--scope", "self.rotate")
    async with cutting(service.url) as proxy:
        proxy.failures += [lose_the_answer] * 100  # more than the number of retries
        words = ("token", "rotate", "self", "--grace", "0s")
        result = await shell(*words, COUNTERFOIL_URL=proxy.url, COUNTERFOIL_TOKEN=secret)
    assert result.code == 3
    assert re.search(r"it happens once, whatever happened:\n  --idempotency-key [0-9a-f]{32}\n", result.err)
    assert await service.types(token["id"]) == ["created", "rotated"]


async def test_a_token_that_never_expires_is_issued_with_a_warning_on_stderr(shell: Shell) -> None:
    for words in ((), ("--quiet",), ("--json",)):
        result = await shell("token", "create", "careless", *words)
        assert result.code == 0
        assert "counterfoil: warning: No lifetime was given" in result.err
        assert "this token never expires" in result.err
    assert "expires         never\n" in (await shell("token", "create", "careless")).out
    assert "warning" not in (await shell("token", "create", "meant", "--lifetime", "forever")).err
    refused = await shell("token", "create", "typo", "--scope", "tokens.raed")
    assert (refused.code, "did you mean tokens.read?" in refused.err) == (1, True)
