"""`counterfoil account` and `counterfoil scope`, with the real API."""

import json

from cli.shell import Shell


async def test_the_policy_is_changed_one_rule_at_a_time(shell: Shell) -> None:
    assert "max lifetime    any" in (await shell("account", "show")).out
    result = await shell("account", "update", "--max-lifetime", "90d", "--notice", "7d", "--notice", "36h")
    assert result.code == 0, result.err
    assert "max lifetime    90d" in result.out
    assert "notices         7d 36h" in result.out
    result = await shell("account", "update", "--network", "127.0.0.0/8", "--network", "::1/128", "--json")
    assert json.loads(result.out)["policy"] == {
        "max_lifetime": "90d", "default_lifetime": None, "notices": ["7d", "36h"],
        "networks": ["127.0.0.0/8", "::1/128"], "catalogue_closed": False,
    }  # fmt: skip
    removed = ("--max-lifetime", "none", "--notice", "none", "--network", "none")
    result = await shell("account", "update", *removed, "--json")
    assert json.loads(result.out)["policy"] == {
        "max_lifetime": None, "default_lifetime": None, "notices": None, "networks": [],
        "catalogue_closed": False,
    }  # fmt: skip
    assert "catalogue       closed\n" in (await shell("account", "update", "--catalogue-closed")).out
    assert "catalogue       open\n" in (await shell("account", "update", "--catalogue-open")).out
    nothing = await shell("account", "update")
    assert (nothing.code, "--max-lifetime 90d" in nothing.err) == (2, True)
    shut = await shell("account", "update", "--network", "192.0.2.0/24")
    assert (shut.code, "shuts-you-out" in shut.err) == (1, True)


async def test_account_events_are_listed_with_actor_and_both_values(shell: Shell) -> None:
    for longest in ("90d", "30d"):
        assert (await shell("account", "update", "--max-lifetime", longest)).code == 0
    reported = (await shell("account", "events", "--since", "1h")).out
    assert "policy.max_lifetime: 90d → 30d" in reported
    assert "token 1 administrator" in reported
    latest = json.loads((await shell("account", "events", "--json")).out.splitlines()[0])
    assert latest["by"]["name"] == "administrator"
    assert latest["changes"]["policy.max_lifetime"] == {"before": "90d", "after": "30d"}
    assert "nothing to show" in (await shell("account", "events", "--until", "1h")).err
    assert (await shell("account", "events", "--since", "soon")).code == 2
    for what in ("reads", "attempts"):
        assert "nothing to show" in (await shell(what, "--until", "2020-01-01")).err


async def test_ending_all_secrets_asks_for_confirmation_and_also_ends_the_callers_own(shell: Shell) -> None:
    assert (await shell("account", "end-secrets", "--reason", "copied")).code != 0
    assert (await shell("account", "show")).code == 0
    result = await shell("account", "end-secrets", "--reason", "copied", "--yes")
    assert result.code == 0, result.err
    assert "rotate the tokens that are still needed" in result.err
    refused = await shell("account", "show")
    assert (refused.code, "secret-ended" in refused.err) == (1, True)


async def test_the_catalogue_is_written_read_and_used_for_grants(shell: Shell) -> None:
    link = "https://docs.example/invoices"
    steps = [
        ("scope", "describe", "invoices.read", "--sentence", "Read invoices.", "--documentation", link),
        ("scope-set", "define", "billing", "--scope", "invoices.read", "--scope", "invoices.pay",
         "--sentence", "For the till."),
    ]  # fmt: skip
    for step in steps:
        result = await shell(*step)
        assert result.code == 0, result.err
    listed = (await shell("scope", "list")).out
    assert "Read invoices." in listed
    assert link in listed
    assert "built in" in listed
    found = [json.loads(line) for line in (await shell("scope-set", "list", "--json")).out.splitlines()]
    assert found[-1]["scopes"] == ["invoices.read", "invoices.pay"]
    issued = await shell("token", "create", "till", "--scope-set", "billing", "--json")
    assert json.loads(issued.out)["token"]["scopes"] == ["invoices.read", "invoices.pay"]
    for step in (("scope", "remove", "invoices.read"), ("scope-set", "remove", "billing")):
        assert (await shell(*step)).code == 0
        again = await shell(*step)
        assert (again.code, "not-found" in again.err) == (1, True)
