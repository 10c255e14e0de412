"""`counterfoil` lists failed attempts for auditors."""

import asyncio
import json

from aiohttp import ClientSession

from cli.shell import Shell
from client.running import Service


async def test_failed_attempts_are_listed(shell: Shell, service: Service) -> None:
    assert (await shell("attempts")).err == "There is nothing to show.\n"
    made = json.loads((await shell("token", "create", "ended", "--owner", "service:billing", "--json")).out)
    token, secret = made["token"]["id"], made["secret"]
    assert (await shell("token", "revoke", token, "--reason", "for the test")).code == 0
    async with ClientSession(service.url) as session:
        for _ in range(3):
            async with session.get("/v1/tokens", headers={"Authorization": f"Bearer {secret}"}) as answer:
                assert answer.status == 401
    async with asyncio.timeout(20):
        while not (reported := (await shell("attempts", "--json")).out):
            pass
    (attempt,) = [json.loads(line) for line in reported.splitlines()]
    assert (attempt["kind"], attempt["subject"], attempt["count"]) == ("token-revoked", token, 3)
    assert attempt["network"] == "127.0.0.0/24"
    result = await shell("attempts", "--kind", "token-revoked")
    assert (result.code, result.err) == (0, "")
    assert "\ttoken 2 ended\t" in result.out
    assert (await shell("attempts", "--kind", "token-expired")).err == "There is nothing to show.\n"
