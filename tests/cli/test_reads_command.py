"""`counterfoil` shows auditors the reads of others."""

import json
from uuid import UUID

from cli.shell import Shell
from counterfoil.core.principal import Actor, Principal
from counterfoil.door import Door
from counterfoil.settings import Settings
from counterfoil.uses.access_log import AccessLog


async def test_reads_are_listed_with_reader_and_subjects(shell: Shell) -> None:
    made = await shell("token", "create", "watched", "--owner", "service:billing", "--lifetime", "1d", "--json")
    token = json.loads(made.out)["token"]["id"]
    assert (await shell("token", "events", token)).code == 0
    (read,) = [json.loads(line) for line in (await shell("reads", "--json")).out.splitlines()]
    assert (read["calls"], read["rows"], read["tokens"]) == ({"events": 1}, 1, [token])
    assert read["reader"]["kind"] == "token"
    result = await shell("reads", "--reader", read["reader"]["id"])
    assert (result.code, result.err) == (0, "")
    assert token in result.out
    assert "events 1" in result.out
    refused = await shell("reads", "--reader", "nobody")
    assert (refused.code, refused.out) == (1, "")


async def test_reads_of_the_log_are_listed_with_positions_and_filters(shell: Shell, settings: Settings) -> None:
    me = json.loads((await shell("whoami", "--json")).out)
    asker = Principal(actor=Actor("token", UUID(me["token"]["id"])), account=UUID(me["account"]), scopes=())
    async with Door(settings.database_url) as door, AccessLog(door) as witness:
        await witness.record_log(asker, first=3, last=20, filters=("type",))
        await witness.record_log(asker, first=91, last=90, whole=True)
    whole, own = [json.loads(line)["log"] for line in (await shell("reads", "--json")).out.splitlines()]
    assert own == {"first": 3, "last": 20, "filters": {"type": 1}}
    assert whole == {"first": 91, "last": 90, "filters": {"none": 1}}
    lines = (await shell("reads")).out.splitlines()
    assert [line.split("\t")[4] for line in lines if "log 1" in line] == ["none", "3 to 20 (type 1)"]
