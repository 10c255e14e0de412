"""A grace that ends while the previous secret is in use is an alert, until somebody decides about it."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from api.rotations import rotated, rotation, use
from api.service import Caller
from counterfoil.core.principal import SYSTEM
from counterfoil.core.subjects.token.commands import AnnounceGrace
from counterfoil.door import Door
from counterfoil.settings import Settings


@pytest.fixture
async def door(api_settings: Settings) -> AsyncIterator[Door]:
    async with Door(api_settings.database_url) as opened:
        yield opened


async def near_its_end(settings: Settings, path: str) -> None:
    """Move the beginning of a grace of ten hours back by a day, so that less than half of it is left."""
    connection = await asyncpg.connect(settings.database_url)
    token_id = UUID(path.rpartition("/")[2])
    await connection.execute(
        "update token set grace_start = grace_start - interval '1 day' where token_id = $1", token_id
    )
    await connection.close()


async def announce(door: Door, admin: Caller, path: str) -> list[str]:
    """Sweep the grace of a token as the worker does; return the events."""
    token = (await admin.get(path)).json
    command = AnnounceGrace(
        account=UUID(token["account"]), id=UUID(token["id"]), by=replace(SYSTEM, account=UUID(token["account"])),
        notice_seconds=86_400,
    )  # fmt: skip
    return [fact.type for fact in (await door.execute(command)).facts]


async def alerts(admin: Caller, path: str) -> list[Any]:
    items = (await admin.get("/v1/alerts", limit=200)).json["items"]
    return [each for each in items if path.endswith(each["token"]["id"])]


async def test_a_grace_that_ends_while_in_use_is_an_alert_until_it_is_extended(
    admin: Caller, door: Door, api_settings: Settings
) -> None:
    path, old, _ = await rotated(admin)
    await use(old, times=2)
    await rotation(admin, path, previous=2)
    assert await announce(door, admin, path) == [], "too early"
    await near_its_end(api_settings, path)
    assert await announce(door, admin, path) == ["grace_ending"]
    assert await announce(door, admin, path) == []
    (alert,) = await alerts(admin, path)
    assert (alert["kind"], alert["owner_status"], alert["threshold_seconds"]) == ("grace_ending", "active", 61_200)
    assert 35_000 < alert["left_seconds"] < 36_000
    assert (alert["previous_secret"]["uses"], alert["previous_secret"]["networks"][0]["network"]) == (2, "127.0.0.0/24")
    event = (await admin.get(f"{path}/events", sort="-version", limit=1)).json["items"][0]
    assert (event["type"], event["data"]["uses"], event["by"]["kind"]) == ("grace_ending", 2, "system")
    await admin.post(f"{path}/rotation/extend", {"grace": "3d"})
    assert await alerts(admin, path) == []
    assert await announce(door, admin, path) == []


@pytest.mark.parametrize("end", ["confirm", "rotate", "revoke", "suspend"])
async def test_the_alert_of_a_grace_ends_with_it(admin: Caller, door: Door, api_settings: Settings, end: str) -> None:
    path, old, _ = await rotated(admin)
    await use(old)
    await rotation(admin, path, previous=1)
    await near_its_end(api_settings, path)
    assert await announce(door, admin, path) == ["grace_ending"]
    calls: dict[str, tuple[str, object]] = {
        "confirm": (f"{path}/rotation/confirm", {"even_if_unused": True}),
        "rotate": (f"{path}/rotate", {"grace": "0s"}),
        "revoke": (f"{path}/revoke", {"reason": "done"}),
        "suspend": (f"{path}/suspend", {}),
    }
    assert (await admin.post(*calls[end])).status == 200
    statuses = [each["token"]["status"] for each in await alerts(admin, path)]
    assert statuses == (["suspended"] if end == "suspend" else []), "a suspended one may be resumed"


async def test_alerts_of_graces_are_paged_and_limited_like_those_of_expiries(
    admin: Caller, door: Door, api_settings: Settings
) -> None:
    owner = {"type": "service", "id": "graces-in-pages"}
    paths = []
    for _ in range(3):
        path, old, _ = await rotated(admin, owner=owner)
        await use(old)
        paths.append(path)
    for path in paths:
        await rotation(admin, path, previous=1)
        await near_its_end(api_settings, path)
        assert await announce(door, admin, path) == ["grace_ending"]
    reader = await admin.holder("own.read", owner=owner)
    found, query = [], {"limit": "1"}
    while True:
        page = (await reader.get("/v1/alerts", **query)).json
        found += [f"/v1/tokens/{each['token']['id']}" for each in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == paths
    another = await admin.holder("own.read", owner={"type": "service", "id": "graces-of-nobody"})
    assert (await another.get("/v1/alerts")).json["items"] == []
