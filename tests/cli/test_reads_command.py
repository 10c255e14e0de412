"""What auditors see of those who only looked."""

import json

from cli.shell import Shell


async def test_reads_tell_who_looked_at_what(shell: Shell) -> None:
    made = await shell("token", "create", "watched", "--owner", "service:billing", "--duration", "1d", "--json")
    token = json.loads(made.out)["token"]["id"]
    assert (await shell("token", "events", token)).code == 0
    (read,) = [json.loads(line) for line in (await shell("reads", "--json")).out.splitlines()]
    assert (read["calls"], read["shown"], read["tokens"]) == ({"events": 1}, 1, [token])
    assert read["reader"]["kind"] == "token"
    said = await shell("reads", "--reader", read["reader"]["id"])
    assert (said.code, said.err) == (0, "")
    assert token in said.out
    assert "events 1" in said.out
    refused = await shell("reads", "--reader", "nobody")
    assert (refused.code, refused.out) == (1, "")
