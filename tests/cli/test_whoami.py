"""`counterfoil whoami`, introspection and shell completion."""

import json
from typing import Any

from cli.shell import Said, Shell
from cli.test_user_commands import added
from client.running import Service


async def completed(shell: Shell, line: str, **environment: Any) -> list[str]:
    """The completions of bash for the last word of a line."""
    words = line.split(" ")
    result = await shell(
        _COUNTERFOIL_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1), **environment
    )
    assert (result.code, result.err) == (0, "")
    return result.out.split()


def facts(result: Said) -> dict[str, str]:
    assert result.code == 0, result.err
    return {line[:16].strip(): line[16:] for line in result.out.splitlines()}


async def test_whoami_shows_the_caller_of_each_credential(shell: Shell) -> None:
    me = facts(await shell("whoami"))
    assert (me["asking as"], me["scopes"], me["expires"]) == ("token", "all", "never")
    assert me["token"].endswith(", administrator")
    assert me["user"] == "admin@counterfoil.example (administrator)"
    assert me["account"].endswith(" (first)")
    made = json.loads((await shell("token", "create", "ci", "--scope", "jobs.run", "--lifetime", "1d", "--json")).out)
    token = json.loads((await shell("whoami", "--json", COUNTERFOIL_TOKEN=made["secret"])).out)
    assert (token["kind"], token["token"]["id"], token["scopes"]) == ("token", made["token"]["id"], ["jobs.run"])
    assert (token["user"], token["account_name"]) == (None, None)
    exchange = ("token", "exchange", "--lifetime", "5m", "-q")
    bearer = (await shell(*exchange, COUNTERFOIL_TOKEN=made["secret"])).out.strip()
    borne = json.loads((await shell("whoami", "--json", COUNTERFOIL_TOKEN=bearer)).out)
    assert (borne["kind"], borne["token"]["id"]) == ("bearer", made["token"]["id"])
    assert borne["expires_at"] < token["expires_at"]
    assert (await shell("attempts", "--json")).out == ""
    stranger = await shell("whoami", COUNTERFOIL_TOKEN="cfl_user_wrong")
    assert (stranger.code, "credentials-refused" in stranger.err) == (1, True)


async def test_a_secret_is_introspected_without_being_an_argument(shell: Shell) -> None:
    made = json.loads((await shell("token", "create", "ci", "--owner", "service:ci", "--scope", "a.b", "--json")).out)
    good = facts(await shell("token", "introspect", typed=f"{made['secret']}\n"))
    assert (good["active"], good["token"], good["owner"]) == ("yes", made["token"]["id"], "service:ci")
    assert (good["scopes"], good["expires"]) == ("a.b", "never")
    document = json.loads((await shell("token", "introspect", "--json", typed=made["secret"])).out)
    assert (document["active"], document["sub"]) == (True, "ci")
    await shell("token", "revoke", made["token"]["id"], "--reason", "done")
    dead = await shell("token", "introspect", typed=f"{made['secret']}\n")
    assert (dead.code, dead.out) == (0, "active          no\n")
    wrong = await shell("token", "introspect", made["secret"])
    assert (wrong.code, "unexpected extra argument" in wrong.err, made["secret"] in wrong.err) == (2, True, False)
    nothing = await shell("token", "introspect")
    assert nothing.code == 2
    poor = json.loads((await shell("token", "create", "poor", "--json")).out)["secret"]
    refused = await shell("token", "introspect", typed="x\n", COUNTERFOIL_TOKEN=poor)
    assert refused.code == 1
    assert refused.err.startswith("counterfoil: Missing scope: This needs the scope tokens.introspect.")
    assert "Use a token that holds the scope." in refused.err
    wrong = await shell("token", "introspect", "--json", typed="x\n", COUNTERFOIL_TOKEN="cfl_wrong")
    reported = json.loads(wrong.err)
    assert (reported["error"]["type"], reported["error"]["status"]) == ("invalid_client", 401)


async def test_the_shell_completes_tokens_users_and_sets(shell: Shell, service: Service) -> None:
    ada = await added(shell)
    made = json.loads((await shell("token", "create", "nightly", "--json")).out)["token"]
    await shell("scope-set", "define", "billing", "--scope", "invoices.read")
    number = str(made["number"])
    assert number in await completed(shell, "counterfoil token show ")
    assert await completed(shell, f"counterfoil token rotate {made['id'][:-1]}") == [made["id"]]
    assert await completed(shell, "counterfoil token list --name night") == ["nightly"]
    assert str(ada["number"]) in await completed(shell, "counterfoil user show ")
    assert await completed(shell, "counterfoil user show ada@") == ["ada@example.org"]
    assert await completed(shell, "counterfoil login ada@") == ["ada@example.org"]
    assert await completed(shell, "counterfoil token create x --scope-set bill") == ["billing"]
    assert await completed(shell, "counterfoil token intro") == ["introspect"]
    given = f"counterfoil token show --credentials {service.credentials} {number}"
    assert await completed(shell, given, COUNTERFOIL_TOKEN="wrong") == [number]


async def test_completion_prints_nothing_when_it_fails(shell: Shell) -> None:
    for environment in (
        {"COUNTERFOIL_URL": "http://127.0.0.1:1"}, {"COUNTERFOIL_TOKEN": "cfl_user_wrong"}, {"COUNTERFOIL_URL": "x"},
        {"COUNTERFOIL_URL": "", "COUNTERFOIL_TOKEN": ""},
    ):  # fmt: skip
        assert await completed(shell, "counterfoil token show ", **environment) == []
