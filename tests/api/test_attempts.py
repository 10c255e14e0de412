"""Failed attempts are listed for auditors only."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from api.service import Caller, founded, served, settings_for
from api.user_fixtures import person
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database


@pytest.fixture
async def admin(database: Database, tmp_path: Path) -> AsyncIterator[Caller]:
    settings = settings_for(database.app_url, TRUSTED_PROXIES="127.0.0.0/8")
    credentials = await founded(settings, "tried", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        yield Caller(session, f"Bearer {credentials['admin_token']}")


async def written(caller: Caller, least: int, **query: object) -> list[dict[str, Any]]:
    """The rows, once they contain this many attempts."""
    async with asyncio.timeout(20):
        while True:
            items: list[dict[str, Any]] = (await caller.get("/v1/attempts", **query)).json["items"]
            if sum(item["count"] for item in items) >= least:
                return items
            await asyncio.sleep(0.05)


async def test_every_kind_of_failure_is_listed_with_its_user_or_token(admin: Caller) -> None:
    assert (await admin.get("/v1/attempts")).json == {"items": [], "next_cursor": None}
    made = {name: await admin.issue(scopes=["a.b"]) for name in ("poor", "suspended", "revoked")}
    for name, path in (("suspended", "suspend"), ("revoked", "revoke")):
        await admin.post(f"/v1/tokens/{made[name]['token']['id']}/{path}", {"reason": "for the test"})
    for issued in made.values():
        caller = admin.with_token(issued["secret"])
        for _ in range(2):
            there = {"X-Forwarded-For": "192.0.2.77"}
            assert (await caller.ask("GET", "/v1/tokens", headers=there)).status in (401, 403)
    items = await written(admin, 6)
    assert {(item["kind"], item["subject"]) for item in items} == {
        ("scope-missing", made["poor"]["token"]["id"]),
        ("token-suspended", made["suspended"]["token"]["id"]),
        ("token-revoked", made["revoked"]["token"]["id"]),
    }
    assert {item["network"] for item in items} == {"192.0.2.0/24"}
    assert 'counterfoil_attempts_total{kind="token-suspended"} ' in (await admin.get("/metrics")).body.decode()
    assert [item["kind"] for item in await written(admin, 2, kind="token-revoked")] == ["token-revoked"]


async def test_a_request_from_a_network_that_the_policy_refuses_is_recorded(admin: Caller) -> None:
    made = await admin.issue()
    assert (await admin.patch("/v1/account", {"policy": {"networks": ["127.0.0.0/8"]}})).status == 200
    for _ in range(2):
        there = {"X-Forwarded-For": "192.0.2.77"}
        refused = await admin.with_token(made["secret"]).ask("GET", "/v1/tokens/self", headers=there)
        assert refused.problem == "network-forbidden"
    (item,) = await written(admin, 2)
    assert (item["kind"], item["subject"], item["count"]) == ("network-forbidden", made["token"]["id"], 2)


async def test_pages_contain_every_row_once(admin: Caller) -> None:
    for _ in range(7):
        await (await admin.holder("a.b")).get("/v1/tokens")
    whole = [item["subject"] for item in await written(admin, 7)]
    found, query = [], {"limit": "3"}
    while True:
        page = (await admin.get("/v1/attempts", **query)).json
        found += [item["subject"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == whole
    assert (await admin.get("/v1/alerts", cursor=query["cursor"])).problem == "bad-cursor"


async def test_attempts_need_the_scope_of_auditors(admin: Caller) -> None:
    assert (await (await admin.holder("audit.read")).get("/v1/attempts")).status == 200
    refused = await (await admin.holder("tokens.read")).get("/v1/attempts")
    assert (refused.problem, refused.json["scope"]) == ("scope-missing", "audit.read")


async def test_attempts_are_found_by_the_name_of_a_user_or_token(admin: Caller) -> None:
    ada, poor, other = await person(admin), await admin.issue(scopes=["a.b"]), await admin.issue(scopes=["a.b"])
    for caller in (ada.asks(), *(admin.with_token(each["secret"]) for each in (poor, other))):
        assert (await caller.get("/v1/users")).status == 403
    await written(admin, 3)
    for subject, name in ((ada.id, ada.email), (ada.id, f"user:{ada.number}"), (poor["token"]["id"], "")):
        items = (await admin.get("/v1/attempts", subject=name or subject)).json["items"]
        assert [each["subject"] for each in items] == [subject]
    refused = await admin.get("/v1/attempts", subject="user:987654")
    assert (refused.problem, refused.json["field"]) == ("unknown-user", "subject")
