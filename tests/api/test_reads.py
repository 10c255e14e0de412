"""Reads of other callers' tokens and of the log are events."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

from api.service import Answer, Caller
from api.user_fixtures import person
from counterfoil.core.principal import Actor, Principal
from counterfoil.door import Door
from counterfoil.settings import Settings
from counterfoil.uses.access_log import AccessLog


async def reads(admin: Caller, reader: str, *, least: int) -> list[dict[str, Any]]:
    """The reads of a caller, newest first, once this many calls are in the log."""
    async with asyncio.timeout(10):
        while True:
            items: list[dict[str, Any]] = (await admin.get("/v1/reads", reader=reader, limit=200)).json["items"]
            if sum(sum(each["calls"].values()) for each in items) >= least:
                return items
            await asyncio.sleep(0.05)


async def auditor(admin: Caller) -> tuple[Caller, str]:
    issued = await admin.issue(scopes=["tokens.read", "alerts.read", "audit.read"], owner=service("auditing"))
    return admin.with_token(issued["secret"]), issued["token"]["id"]


def service(name: str) -> dict[str, str]:
    return {"type": "service", "id": name}


async def test_reading_tokens_of_others_is_an_event(admin: Caller) -> None:
    other = (await admin.issue(owner=service("another")))["token"]["id"]
    caller, reader = await auditor(admin)
    listed = await caller.get("/v1/tokens", limit=3)
    await caller.get(f"/v1/tokens/{other}")
    await caller.get("/v1/alerts")
    found = await reads(admin, reader, least=3)
    calls: dict[str, int] = {}
    for each in found:
        calls = {what: calls.get(what, 0) + each["calls"].get(what, 0) for what in {*calls, *each["calls"]}}
        assert (each["reader"]["kind"], each["reader"]["id"]) == ("token", reader)
    assert calls == {"list": 1, "token": 1, "alerts": 1}
    assert [token for each in found for token in each["tokens"]] == [other]
    assert sum(each["rows"] for each in found) >= len(listed.json["items"]) + 1


async def test_reading_the_log_is_an_event_before_the_answer(admin: Caller) -> None:
    other = (await admin.issue(owner=service("another")))["token"]["id"]
    caller, reader = await auditor(admin)

    async def newest() -> dict[str, Any]:
        answer: Answer = await admin.get("/v1/reads", reader=reader, limit=1)
        first: dict[str, Any] = answer.json["items"][0]
        return first

    for path, what in ((f"/v1/tokens/{other}/events", "events"), (f"/v1/tokens/{other}?as_of=1", "past")):
        assert (await caller.ask("GET", path)).status == 200
        event = await newest()
        assert (event["calls"], event["rows"], event["tokens"]) == ({what: 1}, 1, [other])
    assert (await caller.get("/v1/reads", limit=1)).status == 200
    assert (await newest())["calls"] == {"reads": 1}


async def test_reads_of_the_log_record_their_range(admin: Caller, ours: dict[str, str], api_settings: Settings) -> None:
    _, reader = await auditor(admin)
    caller = Principal(actor=Actor("token", UUID(reader)), account=UUID(ours["account"]), scopes=())
    async with Door(api_settings.database_url) as door, AccessLog(door) as access_log:
        await access_log.record_log(caller, first=1, last=20, rows=3, filters=("type",))
        await access_log.record_log(caller, first=1, last=90, rows=90, whole=True)
        await access_log.record(caller, "reads", rows=1)
    found = await reads(admin, reader, least=3)
    assert [(each["calls"], each["log"]) for each in found] == [
        ({"reads": 1}, None),
        ({"whole_log": 1}, {"first": 1, "last": 90, "filters": {"none": 1}}),
        ({"log": 1}, {"first": 1, "last": 20, "filters": {"type": 1}}),
    ]


async def test_reading_own_tokens_is_no_event(admin: Caller) -> None:
    issued = await admin.issue(scopes=["tokens.read", "audit.read"], owner=service("own"))
    twin = (await admin.issue(owner=service("own")))["token"]["id"]
    caller, reader = admin.with_token(issued["secret"]), issued["token"]["id"]
    for path in (
        "/v1/tokens/self", f"/v1/tokens/{twin}", f"/v1/tokens/{twin}/events", f"/v1/tokens/{twin}?as_of=1",
        "/v1/tokens?owner_type=service&owner_id=own",
    ):  # fmt: skip
        assert (await caller.ask("GET", path)).status == 200
    await caller.get("/v1/tokens", owner_type="service")  # this filter may show tokens of others
    assert [each["calls"] for each in await reads(admin, reader, least=1)] == [{"list": 1}]


async def test_a_refused_request_is_no_read(admin: Caller, stranger: Caller) -> None:
    foreign = (await stranger.issue())["token"]["id"]
    caller, reader = await auditor(admin)
    for ref in (foreign, str(uuid4())):
        for path in (f"/v1/tokens/{ref}", f"/v1/tokens/{ref}/events", f"/v1/tokens/{ref}?as_of=1"):
            assert (await caller.ask("GET", path)).status == 404
    await caller.get("/v1/tokens", limit=1)
    assert [each["calls"] for each in await reads(admin, reader, least=1)] == [{"list": 1}]


async def test_reads_need_their_own_scope_and_are_limited_to_the_account(admin: Caller, stranger: Caller) -> None:
    lacking = await admin.holder("tokens.*", "alerts.read")
    assert (await lacking.get("/v1/reads")).problem == "scope-missing"
    _, reader = await auditor(admin)
    assert (await stranger.get("/v1/reads", reader=reader)).problem == "unknown-user"
    other = (await stranger.issue())["token"]["id"]
    await stranger.get(f"/v1/tokens/{other}/events")
    everything = (await admin.get("/v1/reads", limit=200)).json["items"]
    assert other not in [token for each in everything for token in each["tokens"]]


async def test_reads_are_paginated(admin: Caller, stranger: Caller) -> None:
    other = (await admin.issue(owner=service("another")))["token"]["id"]
    caller, reader = await auditor(admin)
    for _ in range(5):
        await caller.get(f"/v1/tokens/{other}/events")
    first = (await admin.get("/v1/reads", reader=reader, limit=3)).json
    rest = (await admin.get("/v1/reads", reader=reader, limit=3, cursor=first["next_cursor"])).json
    assert [each["version"] for each in first["items"] + rest["items"]] == [5, 4, 3, 2, 1]
    assert rest["next_cursor"] is None
    assert (await admin.get("/v1/reads", cursor=first["next_cursor"])).problem == "bad-cursor"
    assert (await stranger.get("/v1/reads", cursor=first["next_cursor"])).problem == "bad-cursor"


async def test_a_read_is_recorded_although_the_reader_was_revoked_meanwhile(admin: Caller) -> None:
    caller, reader = await auditor(admin)
    await caller.get("/v1/tokens")
    await admin.post(f"/v1/tokens/{reader}/revoke", {"reason": "caught reading"})
    assert [each["calls"] for each in await reads(admin, reader, least=1)] == [{"list": 1}]


async def test_a_reader_is_named_as_elsewhere_and_an_unknown_one_is_refused(admin: Caller) -> None:
    ada, (_, token) = await person(admin, "auditor"), await auditor(admin)
    other = (await admin.issue(owner=service("another")))["token"]["id"]
    await ada.asks().get(f"/v1/tokens/{other}/events")
    for name in (ada.id, ada.email, f"user:{ada.id}", f"user:{ada.number}", f"user:{ada.email.upper()}"):
        assert [each["reader"]["id"] for each in await reads(admin, name, least=1)] == [ada.id]
    number = (await admin.get(f"/v1/tokens/{token}")).json["number"]
    for name in (token, f"token:{token}", f"token:{number}"):
        assert (await admin.get("/v1/reads", reader=name)).json["items"] == []
    for name in (
        str(uuid4()),
        "user:987654",
        "token:987654",
        f"user:{token}",
        f"token:{ada.id}",
        "nobody@x.org",
        "7",
        "grace",
    ):
        refused = await admin.get("/v1/reads", reader=name)
        assert (refused.status, refused.problem, refused.json["field"]) == (422, "unknown-user", "reader"), name
