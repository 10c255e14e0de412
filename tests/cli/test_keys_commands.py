"""Commands of operators for signing keys and peppers, next to the database."""

import json
from base64 import b64encode
from typing import Any

import asyncpg
import pytest

from cli.shell import Said, Shell
from client.running import Service
from counterfoil_dev.postgres import Database

OTHER = b64encode(b"o" * 32).decode()


def rows(result: Said) -> list[dict[str, Any]]:
    assert (result.code, result.err) == (0, "")
    return [json.loads(line) for line in result.out.splitlines()]


def statuses(result: Said) -> list[str]:
    return [row["status"] for row in rows(result)]


async def test_keys_are_published_activated_and_removed(server_side: Shell) -> None:
    assert (await server_side("keys", "list", "--json")).out == ""
    assert statuses(await server_side("keys", "rotate", "--json")) == ["active"]
    published = await server_side("keys", "rotate", "--json")
    assert statuses(published) == ["active", "published"]
    assert rows(published)[1]["next_at"] > rows(published)[1]["published_at"]
    for words, reported in (
        (("rotate",), "is published already"),
        (("activate", "2"), "activate it after"),
        (("remove", "1"), "to remove it in an emergency"),
        (("remove", "9", "--emergency", "--reason", "x"), "there is no key '9'"),
    ):
        refused = await server_side("keys", *words)
        assert (refused.code, reported in refused.err) == (1, True), refused.err
    assert statuses(await server_side("keys", "activate", "2", "--emergency", "--json")) == ["retired", "active"]
    shown = await server_side("keys", "list")
    assert "retired" in shown.out
    assert "removed 20" in shown.out
    assert (await server_side("keys", "remove", "1")).code == 1


async def test_an_emergency_needs_a_reason_and_makes_another_key_sign_at_once(
    server_side: Shell, database: Database
) -> None:
    await server_side("keys", "rotate")
    assert (await server_side("keys", "remove", "1", "--emergency")).code == 2
    removed = await server_side("keys", "remove", "1", "--emergency", "--reason", "stolen with a laptop", "--json")
    assert statuses(removed) == ["removed", "active"]
    owner = await asyncpg.connect(database.owner_url)
    rows = await owner.fetch("select type, private from event where kind = 'signing_keys' order by version")
    assert [row["type"] for row in rows] == ["created", "removed", "published", "activated"]
    assert "stolen with a laptop" in rows[1]["private"]
    assert await owner.fetchval("select count(*) from private_key") == 1
    await owner.close()


async def test_a_wrong_encryption_key_is_named_and_adds_nothing(server_side: Shell) -> None:
    await server_side("keys", "rotate")
    for words in (("keys", "rotate"), ("keys", "list"), ("api",)):
        result = await server_side(*words, KEY_ENCRYPTION_KEY=OTHER)
        assert (result.code, "Traceback" in result.err) == (2, False)
        assert "KEY_ENCRYPTION_KEY is not the one" in result.err
    result = await server_side("api", KEY_ENCRYPTION_KEY=OTHER, API_PROCESSES="2")
    assert (result.code, "KEY_ENCRYPTION_KEY is not the one" in result.err) == (2, True)
    assert statuses(await server_side("keys", "list", "--json")) == ["active"]


async def test_a_wrong_pepper_is_named_by_every_command_that_would_use_it(server_side: Shell) -> None:
    words = ("account", "create", "first", "--admin-email", "admin@counterfoil.example", "--credentials", "c.json")
    assert (await server_side(*words)).code == 0
    other = (*words[:2], "second", words[3], "other@counterfoil.example", words[5], "d.json")
    for command in (("api",), ("pepper", "list"), other):
        result = await server_side(*command, PEPPERS=f"1:{OTHER}")
        assert (result.code, "Traceback" in result.err) == (2, False), result.err
        assert "PEPPERS: 1 is not the key that this database knows under that number" in result.err


async def test_a_pepper_signs_when_every_process_has_it_and_is_retired_when_no_secret_needs_it(
    service: Service, server_side: Shell
) -> None:
    assert service.token
    both: dict[str, Any] = {"PEPPERS": f"{server_side.environment['PEPPERS']},2:{OTHER}"}
    assert statuses(await server_side("pepper", "list", "--json")) == ["signing"]
    assert (
        "no process was ever started with it" in (await server_side("pepper", "activate", "2", "--force", **both)).err
    )
    account = ("account", "create", "other", "--admin-email", "other@counterfoil.example", "--credentials", "o.json")
    assert (await server_side(*account, **both)).code == 0
    listed = rows(await server_side("pepper", "list", "--json", **both))
    assert [(row["status"], row["alone"], row["in_environment"]) for row in listed] == [
        ("signing", 2, True), ("verifying", 0, True),
    ]  # fmt: skip
    refused = await server_side("pepper", "activate", "2", **both)
    assert (refused.code, "1 of 1 processes of the API lack pepper 2" in refused.err) == (1, True)
    assert statuses(await server_side("pepper", "activate", "2", "--force", "--json", **both)) == [
        "verifying", "signing",
    ]  # fmt: skip
    for words, reported in ((("retire", "2"), "activate another one first"), (("retire", "1"), "try again at")):
        refused = await server_side("pepper", *words, **both)
        assert (refused.code, reported in refused.err) == (1, True)
    retired = rows(await server_side("pepper", "retire", "1", "--force", "--json", **both))
    assert [(row["status"], row["alone"]) for row in retired] == [("retired", 2), ("signing", 0)]
    assert "PEPPERS lacks 2" in (await server_side("pepper", "list")).err


@pytest.mark.parametrize("words", [("keys", "list"), ("pepper", "list")])
async def test_a_missing_environment_variable_is_named(server_side: Shell, words: tuple[str, ...]) -> None:
    needed = {"keys": "KEY_ENCRYPTION_KEY", "pepper": "PEPPERS"}[words[0]]
    empty: dict[str, Any] = {needed: ""}
    result = await server_side(*words, **empty)
    assert (result.code, f"{needed} is not set" in result.err) == (2, True)
