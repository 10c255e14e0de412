"""`counterfoil owner-quota`: set, show, list and remove."""

import json

from cli.shell import Shell


async def test_a_quota_of_an_owner_is_set_shown_listed_and_removed(shell: Shell) -> None:
    result = await shell(
        "owner-quota", "set", "--owner", "service:backup", "--rate-limit", "6000/1m", "--max-tokens", "1", "--json"
    )
    assert (json.loads(result.out)["max_tokens"], json.loads(result.out)["max_uses"]) == (1, None)
    assert (await shell("token", "create", "first", "--owner", "service:backup")).code == 0
    refused = await shell("token", "create", "second", "--owner", "service:backup")
    assert (refused.code, "revoke one of them, or raise the quota's max_tokens" in refused.err) == (1, True)
    shown = await shell("owner-quota", "show", "--owner", "service:backup")
    assert all(word in shown.out for word in ("service:backup", "6000/1m", "any number", "1 of 1"))
    listed = await shell("owner-quota", "list", "--json")
    assert [json.loads(line)["tokens"] for line in listed.out.splitlines()] == [1]
    assert "service:backup" in (await shell("owner-quota", "list")).out
    assert (await shell("owner-quota", "remove", "--owner", "service:backup")).code == 0
    assert (await shell("token", "create", "second", "--owner", "service:backup")).code == 0
    assert (await shell("owner-quota", "show", "--owner", "backup")).code == 2
