"""`counterfoil` shows operators the followers of the log."""

import json
from typing import Any

import pytest

from cli.shell import Said, Shell
from counterfoil.postgres.connection import Connection
from counterfoil_dev.postgres import Database
from postgres.sealing import seal_all


@pytest.fixture
async def head(server_side: Shell, database: Database) -> int:
    """The size of a log of some events."""
    words = ("account", "create", "first", "--admin-email", "admin@counterfoil.example", "--credentials", "c.json")
    assert (await server_side(*words)).code == 0
    return await seal_all(database.app_url)


async def at(owner: Connection, **positions: int) -> None:
    for name, position in positions.items():
        await owner.execute("insert into follower (name, position) values ($1, $2)", name, position)


def rows(result: Said) -> list[dict[str, Any]]:
    assert (result.code, result.err) == (0, "")
    return [json.loads(line) for line in result.out.splitlines()]


async def test_each_follower_is_shown_with_its_position_and_its_lag(
    server_side: Shell, owner: Connection, head: int
) -> None:
    assert rows(await server_side("followers", "list", "--json")) == []
    await at(owner, done=head, new=0)
    await owner.execute("update follower set moved_at = moved_at - interval '3 days' where name = 'new'")
    done, new = rows(await server_side("followers", "list", "--json"))
    assert (done["name"], done["status"], done["lag"], done["position"], done["head"], done["waiting_seconds"]) == (
        "done", "up to date", 0, head, head, None,
    )  # fmt: skip
    assert (new["name"], new["status"], new["lag"], new["position"]) == ("new", "behind", head, 0)
    assert new["waiting_seconds"] >= 0
    assert new["moved_seconds"] >= 3 * 86_400
    result = await server_side("followers", "list", COLUMNS="150")
    assert (result.code, result.err) == (0, "")
    line = next(line for line in result.out.splitlines() if line.startswith("new "))
    assert "behind" in line
    assert "(3 d ago)" in line


async def test_a_follower_far_behind_or_beyond_the_log_is_marked(
    server_side: Shell, owner: Connection, head: int
) -> None:
    await owner.execute("alter table event disable trigger user")
    await at(owner, early=1, restored=1_000)
    for since, status in (("6 minutes", "far behind"), ("4 minutes", "behind")):
        await owner.execute("update event set at = statement_timestamp() - $1::text::interval", since)
        early, restored = rows(await server_side("followers", "list", "--json"))
        assert (early["status"], early["lag"]) == (status, head - 1)
        assert (restored["status"], restored["lag"]) == ("beyond the log", 0)


async def test_a_follower_whose_next_event_is_missing_is_marked(
    server_side: Shell, owner: Connection, head: int
) -> None:
    await at(owner, one=head - 2)
    await owner.execute("alter table sealed disable trigger user")
    await owner.execute("delete from sealed where pos = $1", head - 1)
    (one,) = rows(await server_side("followers", "list", "--json"))
    assert (one["status"], one["waiting_seconds"]) == ("missing event", None)


async def test_a_follower_that_no_longer_exists_is_removed_on_confirmation(
    server_side: Shell, owner: Connection, head: int
) -> None:
    await at(owner, kept=head, old=1)
    declined = await server_side("followers", "remove", "old", typed="n\n")
    assert (declined.code, "The position of 'old' is lost" in declined.err) == (1, True)
    assert (await server_side("followers", "remove", "old", typed="y\n")).out.strip() == "removed old"
    assert [each["name"] for each in rows(await server_side("followers", "list", "--json"))] == ["kept"]
    again = await server_side("followers", "remove", "old", "--yes")
    assert (again.code, again.out) == (1, "")
    assert "there is no follower 'old'; `counterfoil followers list` shows what there is." in again.err
    assert (await server_side("followers", "remove", "kept", "--yes", "--json")).out == '{"removed":"kept"}\n'


async def test_a_missing_setting_or_database_is_reported(server_side: Shell) -> None:
    missing = await server_side("followers", "list", DATABASE_URL="")
    assert (missing.code, "DATABASE_URL is not set" in missing.err) == (2, True)
    away = await server_side("followers", "list", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert (away.code, "cannot be reached" in away.err) == (3, True)
