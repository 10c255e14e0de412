"""Alerts: announced expiries, the most urgent first."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientSession
from uuid_utils.compat import uuid7

from api.service import Caller, founded
from api.user_fixtures import person
from counterfoil.core.principal import SYSTEM, Actor, Owner, Principal
from counterfoil.core.scopes import EVERYTHING
from counterfoil.core.secret import Peppers, mint
from counterfoil.core.subjects.token.commands import Create, Sweep
from counterfoil.door import Door
from counterfoil.settings import Settings

PEPPERS = Peppers({1: b"p" * 32})


@pytest.fixture
async def door(api_settings: Settings) -> AsyncIterator[Door]:
    async with Door(api_settings.database_url) as opened:
        yield opened


async def ending(
    door: Door, account: UUID, *, name: str, seconds: float, thresholds: tuple[int, ...]
) -> tuple[Create, str]:
    """A token that expires so soon that its notices are due at once."""
    token_id, secret = uuid7(), mint("service")
    root = Principal(actor=Actor("user", account), account=account, scopes=(EVERYTHING,))
    command = Create(
        account=account, id=token_id, by=root, number=token_id.int % 2**30, owner=Owner("service", "crm"),
        name=name, secret=PEPPERS.minted(secret), thresholds=thresholds,
        expires_at=datetime.now(UTC) + timedelta(seconds=seconds), may_have_expired=True,
    )  # fmt: skip
    await door.execute(command)
    return command, secret.plain


async def test_alerts_are_sorted_by_notice_and_use_and_end_with_a_renewal(
    session: ClientSession, api_settings: Settings, door: Door, tmp_path: Path
) -> None:
    founder = await founded(api_settings, f"alerts-{uuid7().hex[-12:]}", tmp_path)
    # Other tests issue tokens that expire within a day in the shared accounts.
    account, boss = UUID(founder["account"]), Caller(session, f"Bearer {founder['admin_token']}")
    assert (await boss.get("/v1/alerts")).json == {"items": [], "unannounced": 0, "next_cursor": None}
    made = {
        "idle": await ending(door, account, name="idle", seconds=100.2, thresholds=(100,)),
        "busy": await ending(door, account, name="busy", seconds=100.4, thresholds=(100,)),
        "soon": await ending(door, account, name="soon", seconds=50.4, thresholds=(50,)),
        "gone": await ending(door, account, name="gone", seconds=-1, thresholds=(50,)),
        "later": await ending(door, account, name="later", seconds=3_600, thresholds=(50,)),
    }
    assert (await boss.with_token(made["busy"][1]).get("/v1/tokens/self")).status == 200
    await asyncio.sleep(1.5)  # until the notices are due and the use is written
    for command, _ in made.values():
        await door.execute(Sweep(account=account, id=command.id, by=SYSTEM))

    async def names(**query: object) -> list[str]:
        return [alert["token"]["name"] for alert in (await boss.get("/v1/alerts", **query)).json["items"]]

    assert await names() == ["gone", "soon", "busy", "idle"]
    first = (await boss.get("/v1/alerts", limit=2)).json
    assert await names(limit=2, cursor=first["next_cursor"]) == ["busy", "idle"]
    gone, soon = first["items"]
    assert (gone["kind"], gone["threshold_seconds"], gone["left_seconds"] < 0) == ("expired", 0, True)
    assert (soon["kind"], soon["threshold_seconds"], 40 < soon["left_seconds"] < 50) == ("expiring", 50, True)
    assert soon["token"]["status"] == "active"
    await boss.post(f"/v1/tokens/{made['soon'][0].id}/renew", {"lifetime": "1h"})
    await boss.post(f"/v1/tokens/{made['gone'][0].id}/revoke", {"reason": "not needed"})
    assert await names() == ["busy", "idle"]


async def test_alerts_need_their_scope_and_are_limited_to_the_account(admin: Caller, stranger: Caller) -> None:
    assert (await (await admin.holder("tokens.read")).get("/v1/alerts")).problem == "scope-missing"
    assert (await (await admin.holder("alerts.read")).get("/v1/alerts")).status == 200
    cursor = (await stranger.get("/v1/alerts", limit=1)).json["next_cursor"]
    assert (await admin.get("/v1/alerts", cursor=cursor or "x")).problem == "bad-cursor"


async def test_soon_expiring_tokens_without_a_notice_are_counted(admin: Caller) -> None:
    owner = {"type": "service", "id": "alerts-within"}
    lives = {"an hour": "1h", "a day": "23h", "six days": "6d", "a month": "31d"}
    for name, lifetime in lives.items():
        await admin.issue(name=name, lifetime=lifetime, owner=owner)
    asker = await admin.holder("own.read", owner=owner)  # forever

    async def read(**query: object) -> list[str]:
        found: list[str] = []
        while True:
            page = (await asker.get("/v1/alerts", **query)).json
            assert all(each["threshold_seconds"] is each["at"] is None for each in page["items"])
            found += [each["token"]["name"] for each in page["items"]]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    assert await read(within="7d", limit=1) == await read(within="1w") == ["an hour", "a day", "six days"]
    assert await read(within="2h") == ["an hour"]
    assert await read(within="40d") == list(lives)
    assert await read() == [], "no notice is raised of such lives"
    assert (await asker.get("/v1/alerts")).json["unannounced"] == 2, "but it is never silent about them"


async def test_a_window_is_a_duration_and_a_cursor_belongs_to_its_window(admin: Caller) -> None:
    for wrong in ("soon", "forever", "7", "-1d"):
        refused = await admin.get("/v1/alerts", within=wrong)
        assert (refused.problem, refused.json["field"]) == ("bad-duration", "within")
        assert repr(wrong) in refused.json["detail"]
    for _ in range(2):
        await admin.issue(lifetime="1h")
    cursor = (await admin.get("/v1/alerts", within="1d", limit=1)).json["next_cursor"]
    assert (await admin.get("/v1/alerts", within="2d", limit=1, cursor=cursor)).problem == "bad-cursor"
    assert (await admin.get("/v1/alerts", within="1d", limit=1, cursor=cursor)).status == 200
    assert (await (await admin.holder("tokens.read")).get("/v1/alerts", within="1d")).problem == "scope-missing"


async def alerted(caller: Caller, **query: object) -> dict[str, dict[str, Any]]:
    """The alerts of the next day, by the token's name."""
    answer = await caller.get("/v1/alerts", within="1d", limit=200, **query)
    assert answer.status == 200, answer.body
    return {each["token"]["name"]: each for each in answer.json["items"]}


async def test_an_alert_has_the_uses_by_day_the_last_use_and_the_state_of_the_owner(admin: Caller) -> None:
    ada = await person(admin)
    owners = {"ours": {"type": "user", "id": ada.id}, "job": {"type": "service", "id": "alerts-ranking"}}
    issued = {name: await admin.issue(name=f"rank {name}", lifetime="20h", owner=o) for name, o in owners.items()}
    assert (await admin.with_token(issued["job"]["secret"]).get("/v1/tokens/self")).status == 200
    await asyncio.sleep(1.5)  # until the use is written
    found = await alerted(admin)
    job, ours = found["rank job"], found["rank ours"]
    assert (job["recent_uses"], job["uses_per_day"]) == (1, 0.14)
    assert job["uses_by_day"] == [{"day": datetime.now(UTC).date().isoformat(), "uses": 1}]
    assert job["token"]["last_used_at"] is not None
    assert (job["owner_status"], ours["owner_status"]) == ("unknown", "active")
    assert (ours["uses_per_day"], ours["uses_by_day"]) == (0, [])
    assert (await admin.with_token(issued["ours"]["secret"]).post("/v1/exchange")).status == 200
    await admin.post(f"/v1/users/{ada.id}/disable", {"reason": "On leave."})
    after = await alerted(admin)
    assert (after["rank ours"]["owner_status"], after["rank ours"]["recent_uses"]) == ("disabled", 1)
    assert list(after)[-1] == "rank ours", "its expiry breaks nothing"


async def test_alerts_are_filtered_by_owner_and_by_use(admin: Caller) -> None:
    names = {"a": "alerts-of-a", "b": "alerts-of-b"}
    made = {}
    for name, owner in names.items():
        for use in ("busy", "idle"):
            issued = await admin.issue(
                name=f"{name} {use}", lifetime="20h", owner={"type": "service", "id": owner}, scopes=["own.read"]
            )
            made[f"{name} {use}"] = issued["secret"]
    for name in ("a busy", "b busy"):
        assert (await admin.with_token(made[name]).get("/v1/tokens/self")).status == 200
    await asyncio.sleep(1.5)  # until the uses are written
    of_a = {"owner_type": "service", "owner_id": "alerts-of-a"}
    assert set(await alerted(admin, **of_a)) == {"a busy", "a idle"}
    assert (await admin.get("/v1/alerts", **of_a)).json["unannounced"] == 2
    assert set(await alerted(admin, **of_a, used="true")) == {"a busy"}
    assert set(await alerted(admin, **of_a, used="false")) == {"a idle"}
    assert {"a busy", "b busy"} <= set(await alerted(admin, used="true"))
    own = admin.with_token(made["b idle"])
    assert set(await alerted(own)) == {"b busy", "b idle"}
    assert (await own.get("/v1/alerts", **of_a)).problem == "scope-missing"
    assert (await admin.get("/v1/alerts", owner_type="user", owner_id="nobody@example.org")).problem == "unknown-user"
    cursor = (await admin.get("/v1/alerts", within="1d", limit=1, **of_a)).json["next_cursor"]
    assert (await admin.get("/v1/alerts", within="1d", limit=1, cursor=cursor)).problem == "bad-cursor"
