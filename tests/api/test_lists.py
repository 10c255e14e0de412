"""Lists, timelines and past states."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from api.service import Caller
from api.user_fixtures import person
from counterfoil.core.cursor import Cursors
from counterfoil.postgres.listing import Filter
from counterfoil.settings import Settings
from counterfoil_api.services import _derived


async def names(caller: Caller, **query: object) -> list[str]:
    """The names of a query, page after page."""
    found: list[str] = []
    while True:
        page = (await caller.get("/v1/tokens", **query)).json
        found += [token["name"] for token in page["items"]]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


@pytest.fixture
async def shelf_of_five(admin: Caller) -> str:
    """Five tokens with a common prefix."""
    prefix = f"list-{datetime.now(UTC).timestamp()}"
    tokens: dict[str, dict[str, Any]] = {
        "a": {"scopes": ["x.y"], "owner": {"type": "service", "id": "crm"}},
        "b": {"lifetime": "1h"},
        "c_%": {"lifetime": "2h"},
        "d": {"lifetime": "1us"},
        "e": {},
    }
    for name, fields in tokens.items():
        await admin.issue(name=f"{prefix}-{name}", **fields)
    return prefix


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "a b c_% d e"),
        ({"limit": 2}, "a b c_% d e"),
        ({"sort": "-created", "limit": 2}, "e d c_% b a"),
        ({"sort": "-name", "limit": 3}, "e d c_% b a"),
        ({"sort": "number", "limit": 1}, "a b c_% d e"),
        ({"sort": "expires", "limit": 2}, "d b c_% a e"),
        ({"sort": "-expires", "limit": 2}, "e a c_% b d"),
        ({"sort": "updated", "limit": 2}, "a b c_% d e"),
        ({"sort": "last_used", "limit": 2}, "a b c_% d e"),
        ({"status": "expired"}, "d"),
        ({"status": "revoked"}, ""),
        ({"scope": "x.y"}, "a"),
        ({"owner_type": "service", "owner_id": "crm"}, "a"),
        ({"expires_before": "0s"}, "d"),
        ({"expires_after": "0s"}, "b c_%"),
        ({"created_after": "2999-01-01T00:00:00Z"}, ""),
        ({"last_used_after": "2000-01-01T00:00:00Z"}, ""),
    ],
)
async def test_lists_are_filtered_sorted_and_paginated(
    admin: Caller, shelf_of_five: str, query: dict[str, object], expected: str
) -> None:
    found = await names(admin, name=f"{shelf_of_five}-*", **query)
    assert [name.removeprefix(f"{shelf_of_five}-") for name in found] == expected.split()


async def test_globs_have_only_star_and_question_mark(admin: Caller, shelf_of_five: str) -> None:
    assert len(await names(admin, name=f"{shelf_of_five}-?")) == 4
    assert len(await names(admin, name=f"{shelf_of_five}-c_%")) == 1
    assert await names(admin, name=f"{shelf_of_five}-%") == []
    assert await names(admin, name=f"{shelf_of_five}-_") == []


async def test_a_cursor_of_another_query_is_refused(admin: Caller, shelf_of_five: str) -> None:
    cursor = (await admin.get("/v1/tokens", name=f"{shelf_of_five}*", limit=1)).json["next_cursor"]
    for query in (
        {"limit": 1},
        {"name": f"{shelf_of_five}*", "sort": "name"},
        {"name": f"{shelf_of_five}*", "cursor": "x"},
    ):
        answer = await admin.get("/v1/tokens", **{"cursor": cursor, **query})
        assert answer.problem == "bad-cursor"


@pytest.mark.parametrize("sort", ["created", "-created"])
async def test_a_cursor_made_before_lists_were_ordered_by_database_time_is_refused(
    admin: Caller, api_settings: Settings, ours: dict[str, str], sort: str
) -> None:
    earlier = Cursors(_derived(api_settings, b"counterfoil cursors"))
    token = (await admin.issue())["token"]["id"]
    cursor = earlier.made(UUID(ours["account"]), [Filter(), sort], [token, token])
    assert (await admin.get("/v1/tokens", sort=sort, cursor=cursor)).problem == "bad-cursor"


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0}, {"limit": 201}, {"limit": "1.0"}, {"sort": "secret"}, {"status": "alive"}, {"nmae": "x"},
        {"created_after": "2026-13-01"}, {"created_after": "2026-01-01T00:00:00"}, {"created_after": "0.5"},
        {"owner_type": "team"}, {"name": "x" * 300},
    ],
)  # fmt: skip
async def test_invalid_queries_are_refused(admin: Caller, query: dict[str, object]) -> None:
    assert (await admin.get("/v1/tokens", **query)).problem == "invalid-request"


async def test_strings_that_postgres_cannot_store_match_nothing(admin: Caller) -> None:
    for name in ("%00", "a%00b", "%F0%9F%98%80"):
        answer = await admin.ask("GET", f"/v1/tokens?name={name}")
        assert answer.status in (200, 422)


async def test_a_timeline_lists_events_in_order(admin: Caller) -> None:
    path = f"/v1/tokens/{(await admin.issue(name='one', lifetime='1h'))['token']['id']}"
    await admin.patch(path, {"name": "two"})
    await admin.post(path + "/renew", {"lifetime": "2h"})
    await admin.post(path + "/revoke", {"reason": "leaked"})
    events = (await admin.get(path + "/events")).json["items"]
    assert [(each["version"], each["type"]) for each in events] == [
        (1, "created"), (2, "updated"), (3, "renewed"), (4, "revoked"),
    ]  # fmt: skip
    assert events[1]["private"] == {"name": "two"}
    assert events[3]["private"] == {"reason": "leaked"}
    first = (await admin.get(path + "/events", limit=3, sort="-version")).json
    second = (await admin.get(path + "/events", limit=3, sort="-version", cursor=first["next_cursor"])).json
    assert [each["version"] for each in first["items"] + second["items"]] == [4, 3, 2, 1]
    assert second["next_cursor"] is None
    assert (await admin.get(path + "/events", cursor=first["next_cursor"])).problem == "bad-cursor"


async def test_a_past_state_is_shown_by_time_and_by_version_with_its_deciding_event(admin: Caller) -> None:
    path = f"/v1/tokens/{(await admin.issue(name='one'))['token']['id']}"
    await admin.patch(path, {"name": "two"})
    await admin.post(path + "/suspend")
    suspended = (await admin.get(path + "/events")).json["items"][2]
    await admin.post(path + "/revoke", {"reason": "x"})

    async def at(moment: object) -> Any:
        return (await admin.get(path, as_of=moment)).json

    assert [(await at(version))["status"] for version in (1, 2, 3, 4)] == ["active", "active", "suspended", "revoked"]
    assert [(await at(version))["name"] for version in (1, 2)] == ["one", "two"]
    assert (await at(suspended["at"]))["as_of"] == {
        "at": suspended["at"], "subject": {"kind": "token", "id": path.rpartition("/")[2]}, "decided_by": suspended,
    }  # fmt: skip
    assert (await at(4))["as_of"]["decided_by"]["type"] == "revoked"
    assert "as_of" not in (await admin.get(path)).json
    for nothing in (99, "2000-01-01T00:00:00Z"):
        assert (await admin.get(path, as_of=nothing)).problem == "not-found"
    for nonsense in ("", 0, 0.5, "yesterday", "2026-01-01T00:00:00", datetime.now(UTC) + timedelta(hours=1)):
        text = nonsense.isoformat() if isinstance(nonsense, datetime) else nonsense
        assert (await admin.get(path, as_of=text)).problem == "invalid-request"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
async def test_a_moment_beyond_the_calendar_is_refused(admin: Caller, moment: str) -> None:
    for name in ("created_after", "expires_before", "last_used_after"):
        refused = await admin.get("/v1/tokens", **{name: moment})
        assert (refused.problem, refused.json["field"]) == ("invalid-request", name)
    token = (await admin.issue())["token"]
    assert (await admin.get(f"/v1/tokens/{token['id']}", as_of=moment)).problem == "invalid-request"


async def test_an_unknown_filter_is_refused_with_the_known_ones(admin: Caller) -> None:
    refused = (await admin.get("/v1/tokens", status="retired")).json
    assert (refused["field"], refused["detail"]) == (
        "status",
        "`status` is `retired`; it has to be active, suspended, expired or revoked.",
    )
    owner = (await admin.post("/v1/tokens", {"name": "x", "owner": {"type": "team", "id": "1"}})).json
    assert (owner["field"], owner["detail"]) == (
        "owner.type",
        "`owner.type` is `team`; it has to be user, application or service.",
    )


async def test_the_state_of_an_owner_is_shown_at_their_tokens_now_and_in_the_past(admin: Caller) -> None:
    ada = await person(admin, scopes=("mail.send",))
    owner = {"type": "user", "id": ada.id}
    token = (await admin.issue(owner=owner, scopes=["own.read", "mail.send"]))["token"]
    path = f"/v1/tokens/{token['id']}"
    assert (token["refused"], token["effective_scopes"]) == (None, ["own.read", "mail.send"])
    await admin.patch(f"/v1/users/{ada.id}", {"scopes": []})
    assert (await admin.get(path)).json["effective_scopes"] == ["own.read"]
    await admin.post(f"/v1/users/{ada.id}/disable", {"reason": "left in anger"})
    (event,) = [each for each in await happened(admin, ada.id) if each["type"] == "disabled"]
    (listed,) = (await admin.get("/v1/tokens", owner_type="user", owner_id=ada.id)).json["items"]
    for shown in (listed, (await admin.get(path)).json, (await admin.patch(path, {"name": "other"})).json):
        assert (shown["status"], shown["refused"], shown["scopes"]) == ("active", "owner-disabled", token["scopes"])
    await admin.post(f"/v1/users/{ada.id}/enable")
    assert (await admin.get(path)).json["refused"] is None
    then = (await admin.get(path, as_of=event["at"])).json
    assert (then["status"], then["refused"], then["effective_scopes"]) == ("active", "owner-disabled", ["own.read"])
    assert then["as_of"]["subject"] == {"kind": "user", "id": ada.id}
    assert then["as_of"]["decided_by"] == {**event, "private": None}, "why is for those who may see people"
    before = (await admin.get(path, as_of=1)).json
    assert (before["refused"], before["effective_scopes"]) == (None, ["own.read", "mail.send"])
    assert (await admin.issue(owner=owner))["token"]["refused"] is None
    await admin.post(f"/v1/users/{ada.id}/disable", {"reason": "again"})
    assert (await admin.issue(owner=owner))["token"]["refused"] == "owner-disabled"


async def happened(admin: Caller, user: str) -> list[Any]:
    events: list[Any] = (await admin.get(f"/v1/users/{user}/events")).json["items"]
    return events


async def test_a_backslash_in_a_glob_escapes_in_lists_and_in_bulk_plans(admin: Caller) -> None:
    mark = f"glob-{datetime.now(UTC).timestamp()}"
    for name in ("g*x", "gax", "g?x", "g\\x"):
        await admin.issue(name=f"{mark} {name}")
    for glob, expected in (
        (r"g\*x", ["g*x"]), (r"g\?x", ["g?x"]), (r"g\\x", ["g\\x"]), ("g*x", ["g*x", "gax", "g?x", "g\\x"]),
    ):  # fmt: skip
        assert await names(admin, name=f"{mark} {glob}") == [f"{mark} {name}" for name in expected]
        plan = (await admin.post("/v1/revocations/plan", {"filter": {"name": f"{mark} {glob}"}})).json
        assert plan["tokens"] == len(expected)


async def test_an_unnecessary_backslash_is_refused_wherever_a_glob_is_read(admin: Caller) -> None:
    for refused, field in (
        (await admin.get("/v1/tokens", name="g\\"), "name"),
        (await admin.post("/v1/revocations/plan", {"filter": {"name": r"g\x"}}), "name"),
        (await admin.get("/v1/users", email="g\\"), "email"),
    ):
        assert (refused.problem, refused.json["field"]) == ("bad-text", field)
        assert "escapes nothing" in refused.json["detail"]


async def test_equivalent_spellings_of_a_name_are_one_name(admin: Caller) -> None:
    token = (await admin.issue(name="  cafe\u0301 au lait "))["token"]
    assert token["name"] == "caf\u00e9 au lait"
    assert await names(admin, name="caf\u00e9 au*") == await names(admin, name="cafe\u0301 au*") == [token["name"]]
    renamed = await admin.patch(f"/v1/tokens/{token['id']}", {"name": "cafe\u0301 au lait"})
    assert renamed.json["revision"] == token["revision"]  # unchanged


async def test_an_invisible_name_is_refused(admin: Caller) -> None:
    refused = await admin.post("/v1/tokens", {"name": "\u200b"})
    assert (refused.status, refused.problem, refused.json["field"]) == (422, "bad-text", "name")
    assert "has only invisible characters" in refused.json["detail"]


async def test_a_time_filter_accepts_a_duration_and_keeps_its_moment_on_later_pages(admin: Caller) -> None:
    mark = f"soon-{datetime.now(UTC).timestamp()}"
    for name, lifetime in (("hour", "1h"), ("day", "23h"), ("week", "6d"), ("month", "30d")):
        await admin.issue(name=f"{mark} {name}", lifetime=lifetime)
    mine = {"name": f"{mark} *", "sort": "expires", "limit": 1}

    async def found(**query: object) -> list[str]:
        return [name.removeprefix(f"{mark} ") for name in await names(admin, **{**mine, **query})]

    assert await found(expires_before="1d") == ["hour", "day"]
    assert await found(expires_after="1d") == ["week", "month"]
    assert await found(expires_after="2h", expires_before="7d") == ["day", "week"]
    assert await found(created_after="1h", last_used_before="1d") == []
    assert len(await found(created_after="1h")) == 4
    assert await found(created_before="1h") == []
    assert await found(created_after="2000-01-01", created_before="2000-01-02") == []
    assert await found(unused_since="1h") == []
    assert len(await found(unused_since="0s")) == 4
    plan = await admin.post("/v1/revocations/plan", {"filter": {"name": f"{mark} *", "expires_before": "7d"}})
    assert plan.json["tokens"] == 3


@pytest.mark.parametrize(
    ("moment", "example"),
    [
        *((moment, "such as 7d") for moment in ("soon", "-7d", "2027-13-01", "forever")),
        ("2027-01-01T00:00:00", "such as 2027-03-01T12:00:00Z"),
    ],
)
async def test_an_invalid_moment_is_refused_by_name_with_a_valid_form(admin: Caller, moment: str, example: str) -> None:
    for refused in (
        await admin.get("/v1/tokens", expires_before=moment),
        await admin.post("/v1/revocations/plan", {"filter": {"expires_before": moment}}),
    ):
        assert (refused.status, refused.problem, refused.json["field"]) == (422, "invalid-request", "expires_before")
        assert repr(moment) in refused.json["detail"]
        assert example in refused.json["detail"]


async def test_tokens_are_found_by_their_metadata_in_lists_and_in_bulk_plans(admin: Caller) -> None:
    mark = f"meta-{datetime.now(UTC).timestamp()}"
    for name, metadata in (
        ("a", {"env": "prod", "team": "red"}), ("b", {"env": "prod"}), ("c", {"env": "a=b"}), ("d", {}),
    ):  # fmt: skip
        await admin.issue(name=f"{mark} {name}", metadata=metadata)
    for pairs, expected in (
        (["env=prod"], "a b"), (["env=prod", "team=red"], "a"), (["env=a=b"], "c"), (["env="], ""), (["team=blue"], ""),
    ):  # fmt: skip
        query = urlencode([("name", f"{mark} *"), *(("metadata", pair) for pair in pairs)])
        found = (await admin.ask("GET", f"/v1/tokens?{query}")).json["items"]
        assert [token["name"].removeprefix(f"{mark} ") for token in found] == expected.split()
        wanted = {"name": f"{mark} *", "metadata": pairs}
        plan = (await admin.post("/v1/revocations/plan", {"filter": wanted})).json
        assert plan["tokens"] == len(expected.split())


async def test_an_invalid_or_contradictory_metadata_filter_is_refused(admin: Caller) -> None:
    for query in ("metadata=env", "metadata=env%3Da&metadata=env%3Db", "metadata="):
        refused = await admin.ask("GET", f"/v1/tokens?{query}")
        assert (refused.problem, refused.json["field"]) == ("invalid-request", "metadata")
        assert "KEY=VALUE" in refused.json["detail"]
    assert (await admin.ask("GET", "/v1/tokens?scope=a&scope=b")).problem == "invalid-request"
