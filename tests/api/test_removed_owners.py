"""Tokens of removed users are neither active nor expired and cause no alerts."""

from typing import Any
from uuid import UUID

import pytest

from api.service import Caller
from api.user_fixtures import Person, person
from counterfoil.core.principal import SYSTEM
from counterfoil.core.subjects.token.commands import Sweep
from counterfoil.door import Door
from counterfoil.settings import Settings

STATUSES = ("active", "suspended", "expired", "revoked")


async def owned(admin: Caller, owner: Person, **stated: Any) -> dict[str, Any]:
    issued = await admin.issue(owner={"type": "user", "id": owner.id}, scopes=["own.read"], **stated)
    token: dict[str, Any] = issued["token"]
    return token


async def names(admin: Caller, owner: Person, **query: object) -> list[str]:
    page = await admin.get("/v1/tokens", owner_type="user", owner_id=owner.id, sort="name", **query)
    assert page.status == 200, page.body
    return [token["name"] for token in page.json["items"]]


async def alerted(caller: Caller, tokens: set[str], **query: object) -> list[dict[str, Any]]:
    """The alerts of these tokens."""
    found: list[dict[str, Any]] = []
    query["limit"] = 200
    while True:
        page = (await caller.get("/v1/alerts", **query)).json
        found += [alert for alert in page["items"] if alert["token"]["id"] in tokens]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


async def three(admin: Caller, owner: Person, kind: str) -> list[dict[str, Any]]:
    """An active, an expired and a suspended token of one user."""
    tokens = [
        await owned(admin, owner, name=f"{kind} active", lifetime="20h"),
        await owned(admin, owner, name=f"{kind} expired", lifetime="1us"),
        await owned(admin, owner, name=f"{kind} suspended", lifetime="20h"),
    ]
    await admin.post(f"/v1/tokens/{tokens[-1]['id']}/suspend")
    return tokens


async def test_a_removed_users_tokens_are_shown_and_found_only_as_revoked(admin: Caller) -> None:
    ada = await person(admin)
    tokens = await three(admin, ada, "gone")
    assert [await names(admin, ada, status=each) for each in STATUSES] == [
        ["gone active"], ["gone suspended"], ["gone expired"], [],
    ]  # fmt: skip
    await admin.post(f"/v1/users/{ada.id}/remove", {"reason": "Left."})
    everything = ["gone active", "gone expired", "gone suspended"]
    assert [await names(admin, ada, status=each) for each in STATUSES] == [[], [], [], everything]
    for token in tokens:
        seen = (await admin.get(f"/v1/tokens/{token['id']}")).json
        assert (seen["status"], seen["refused"]) == ("revoked", "owner-disabled")
    was = (await admin.get(f"/v1/tokens/{tokens[0]['id']}", as_of=1)).json
    assert was["status"] == "active"


async def test_a_disabled_users_tokens_keep_their_status_and_show_why_they_are_refused(admin: Caller) -> None:
    eve = await person(admin)
    await three(admin, eve, "away")
    await admin.post(f"/v1/users/{eve.id}/disable", {"reason": "On leave."})
    assert [await names(admin, eve, status=each) for each in STATUSES] == [
        ["away active"], ["away suspended"], ["away expired"], [],
    ]  # fmt: skip
    page = (await admin.get("/v1/tokens", owner_type="user", owner_id=eve.id)).json
    assert {token["refused"] for token in page["items"]} == {"owner-disabled"}


@pytest.mark.parametrize("within", [{}, {"within": "1d"}], ids=["announced", "within a day"])
async def test_alerts_omit_tokens_of_removed_users_and_mark_those_of_disabled_users(
    admin: Caller, api_settings: Settings, within: dict[str, str]
) -> None:
    people, tokens = {kind: await person(admin) for kind in ("gone", "away", "here")}, {}
    for kind, owner in people.items():
        tokens[kind] = [
            await owned(admin, owner, name=f"{kind} {lifetime}", lifetime=lifetime) for lifetime in ("1us", "20h")
        ]
    before = (await admin.get("/v1/alerts")).json["unannounced"]
    async with Door(api_settings.database_url) as door:
        for token, _ in tokens.values():
            await door.execute(Sweep(account=UUID(token["account"]), id=UUID(token["id"]), by=SYSTEM))
    await admin.post(f"/v1/users/{people['gone'].id}/remove", {"reason": "Left."})
    await admin.post(f"/v1/users/{people['away'].id}/disable", {"reason": "On leave."})
    made = {token["id"] for pair in tokens.values() for token in pair}
    found = {alert["token"]["name"]: alert["owner_status"] for alert in await alerted(admin, made, **within)}
    soon = {"away 20h": "disabled", "here 20h": "active"} if within else {}
    assert found == {"away 1us": "disabled", "here 1us": "active"} | soon
    assert (await admin.get("/v1/alerts")).json["unannounced"] == before - 1


async def test_nothing_is_announced_about_a_removed_users_token(admin: Caller, api_settings: Settings) -> None:
    ada = await person(admin)
    token = await owned(admin, ada, name="left behind", lifetime="1us")
    await admin.post(f"/v1/users/{ada.id}/remove", {"reason": "Left."})
    async with Door(api_settings.database_url) as door:
        await door.execute(Sweep(account=UUID(token["account"]), id=UUID(token["id"]), by=SYSTEM))
    events = (await admin.get(f"/v1/tokens/{token['id']}/events")).json["items"]
    assert [event["type"] for event in events] == ["created", "revoked"]
    assert (await admin.get(f"/v1/tokens/{token['id']}")).json["reason"] == "The user who owned this token was removed."


async def test_changes_of_a_removed_users_token_are_refused_as_revoked(admin: Caller) -> None:
    ada = await person(admin)
    path = f"/v1/tokens/{(await owned(admin, ada, name='left', lifetime='1d'))['id']}"
    await admin.post(f"/v1/users/{ada.id}/remove", {"reason": "Left."})
    for verb, body in (("renew", {}), ("rotate", {"grace": "0s"}), ("suspend", {}), ("resume", {})):
        refused = await admin.post(f"{path}/{verb}", body)
        assert (refused.problem, "was removed" in refused.json["detail"]) == ("already-revoked", True)
    assert (await admin.post(f"{path}/revoke", {"reason": "tidy"})).json["status"] == "revoked"
