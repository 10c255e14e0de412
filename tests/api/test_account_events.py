"""The events of an account itself, and the names of their actors."""

import asyncio
from typing import Any

from api.service import Caller
from api.user_fixtures import person


async def events(caller: Caller, **query: object) -> list[dict[str, Any]]:
    return list((await caller.get("/v1/account/events", **query)).json["items"])


async def test_policy_changes_are_shown_with_actor_time_and_both_values(admin: Caller) -> None:
    before = (await admin.get("/v1/account")).json["policy"]
    token = (await admin.get("/v1/tokens/self")).json
    for longest in ("90d", "30d"):
        await admin.patch("/v1/account", {"policy": before | {"max_lifetime": longest}})
    await admin.patch("/v1/account", {"policy": before})
    latest = (await events(admin, limit=3))[::-1]
    assert [event["type"] for event in latest] == ["policy_changed"] * 3
    assert [event["changes"]["policy.max_lifetime"] for event in latest] == [
        {"before": None, "after": "90d"}, {"before": "90d", "after": "30d"}, {"before": "30d", "after": None},
    ]  # fmt: skip
    for event in latest:
        assert event["by"] == {"kind": "token", "id": token["id"], "number": token["number"], "name": token["name"]}
        assert (event["subject"]["kind"], event["subject"]["id"]) == ("account", token["account"])
        assert event["at"]


async def test_account_events_include_all_except_token_events_and_reads_page_by_page(
    admin: Caller, stranger: Caller
) -> None:
    user = await person(admin, "auditor")
    await admin.put("/v1/scopes/events.read", {"sentence": "Read events."})
    await admin.put("/v1/scope-sets/events", {"scopes": ["events.read"]})
    found: list[dict[str, Any]] = []
    cursor: dict[str, object] = {}
    while True:
        page = (await admin.get("/v1/account/events", limit=2, **cursor)).json
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert {"account", "user", "scope", "scope_set"} <= {event["subject"]["kind"] for event in found}
    assert not {"token", "access"} & {event["subject"]["kind"] for event in found}
    places = [(event["at"], event["subject"]["id"], event["version"]) for event in found]
    assert places == sorted(places, reverse=True)
    assert len(set(places)) == len(places)
    added = next(event for event in found if event["subject"]["id"] == user.id)
    assert (added["subject"]["name"], added["private"]["name"]) == (user.email, user.email)
    theirs = {event["subject"]["id"] for event in await events(stranger)}
    assert theirs.isdisjoint(event["subject"]["id"] for event in found)


async def test_account_events_need_audit_read_and_users_are_shown_only_with_users_read(admin: Caller) -> None:
    user = await person(admin, "member")
    await admin.patch(f"/v1/users/{user.id}", {"email": f"renamed-{user.email}"})
    assert (await (await admin.holder("account.read")).get("/v1/account/events")).problem == "scope-missing"
    narrow = next(
        event for event in await events(await admin.holder("audit.read")) if event["subject"]["id"] == user.id
    )
    assert (narrow["private"], narrow["changes"], narrow["subject"]["name"], narrow["by"]["name"]) == (
        None, {}, None, None,
    )  # fmt: skip
    wide = next(event for event in await events(admin) if event["subject"]["id"] == user.id)
    assert wide["changes"]["name"] == {"before": user.email, "after": f"renamed-{user.email}"}


async def test_reading_account_events_is_listed_as_a_read_by_name(admin: Caller) -> None:
    holder = await admin.holder("audit.read", "tokens.read", name="auditing")
    await events(holder)
    itself = (await holder.get("/v1/tokens/self")).json
    reads = (await holder.get("/v1/reads", reader=itself["id"])).json["items"]
    assert reads[0]["reader"] == {
        "kind": "token", "id": itself["id"], "number": itself["number"], "name": "auditing",
    }  # fmt: skip
    assert reads[0]["calls"] == {"events": 1}


async def test_creators_and_actors_are_shown_with_their_present_names(admin: Caller) -> None:
    user = await person(admin, "administrator")
    token = (await user.asks().issue(name="made by ada"))["token"]
    await admin.patch(f"/v1/users/{user.id}", {"email": f"now-{user.email}"})
    named = {"kind": "user", "id": user.id, "number": user.number, "name": f"now-{user.email}"}
    path = f"/v1/tokens/{token['id']}"
    assert (await admin.get(path)).json["creator"] == named
    assert (await admin.get(path, as_of="1")).json["creator"] == named
    assert (await admin.get("/v1/tokens", name="made by ada")).json["items"][0]["creator"] == named
    assert (await admin.get(f"{path}/events")).json["items"][0]["by"] == named
    # The token itself may not read users, and does not see its creator.
    issued = await admin.issue(name="blind", owner={"type": "service", "id": "blind"})
    blind = (await admin.with_token(issued["secret"]).get("/v1/tokens/self")).json["creator"]
    assert (blind["number"], blind["name"]) == (None, None)


async def test_attempts_name_the_user_or_token_that_they_concern(admin: Caller) -> None:
    issued = await admin.issue(name="revoked one")
    await admin.post(f"/v1/tokens/{issued['token']['id']}/revoke", {"reason": "over"})
    assert (await admin.with_token(issued["secret"]).get("/v1/tokens/self")).status == 401
    for _ in range(300):
        items = (await admin.get("/v1/attempts", kind="token-revoked")).json["items"]
        if found := [item for item in items if item["subject"] == issued["token"]["id"]]:
            break
        await asyncio.sleep(0.05)  # attempts are counted in memory and written about once a second
    assert (found[0]["named"]["number"], found[0]["named"]["name"]) == (issued["token"]["number"], "revoked one")
