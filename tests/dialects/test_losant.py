"""Losant's application API tokens: closed schemas, pages from 0, scope words, and a login with a password."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest

from api.service import Answer, Caller
from api.user_fixtures import person
from dialects.accounts import Account

HEX24 = re.compile(r"[0-9a-f]{24}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PAGE = ["id", "apiTokenId", "creatorId", "creatorType", "ownerId", "ownerType", "name", "creationDate", "lastUpdated",
        "expirationDate", "scope", "status", "token"]  # fmt: skip


@pytest.fixture
def tokens(here: Account) -> str:
    return f"/losant/applications/{here.application_id}/tokens"


async def made(caller: Caller, path: str, **body: Any) -> Any:
    answer = await caller.post(path, {"name": "My New API Token", **body})
    assert answer.status == 201, answer.body
    return answer.json


def refused(answer: Answer, status: int, kind: str, message: str = "") -> None:
    assert answer.status == status, answer.body
    assert list(answer.json) == ["type", "message"]
    assert answer.json["type"] == kind
    assert message in answer.json["message"]


async def test_a_token_is_created_shown_changed_and_deleted(native: Caller, tokens: str, here: Account) -> None:
    body = {"expirationDate": "2017-06-13T04:00:00.000Z", "scope": ["all.Application"], "status": "active"}
    token = await made(native, tokens, **body)
    assert [key for key in token if key in PAGE] == PAGE
    assert HEX24.fullmatch(token["id"])
    assert token["id"] == token["apiTokenId"]
    assert HEX24.fullmatch(token["creatorId"])
    assert token | body == token
    assert (token["ownerId"], token["ownerType"]) == (here.application_id, "application")
    assert all(MOMENT.fullmatch(token[name]) for name in ("creationDate", "lastUpdated"))
    shown = await native.get(f"{tokens}/{token['id']}")
    assert shown.json == {name: value for name, value in token.items() if name != "token"}
    changed = await native.patch(f"{tokens}/{token['id']}", {"name": "new", "description": "d", "status": "inactive"})
    assert (changed.status, changed.json["name"], changed.json["status"]) == (200, "new", "inactive")
    assert (await native.patch(f"{tokens}/{token['id']}", {"status": "active"})).json["status"] == "active"
    deleted = await native.delete(f"{tokens}/{token['id']}")
    assert (deleted.status, deleted.json) == (200, {"success": True})
    refused(await native.get(f"{tokens}/{token['id']}"), 404, "NotFound", "API Token was not found")
    refused(await native.delete(f"{tokens}/{token['id']}"), 404, "NotFound")


async def test_by_default_a_token_has_all_rights_in_its_application_and_never_expires(
    native: Caller, tokens: str
) -> None:
    token = await made(native, tokens)
    assert (token["scope"], token["status"], "expirationDate" in token) == (["all.Application"], "active", False)
    itself = native.with_token(token["token"])
    child = await made(itself, tokens, scope=["devices.get", "applicationApiTokens.*"])
    assert child["creatorType"] == "apiToken"
    assert child["creatorId"] == token["id"]
    refused(await made_by(native, child, tokens, scope=["devices.post"]), 403, "Forbidden", "does not hold")
    assert (await made_by(native, child, tokens, scope=["devices.get"])).status == 201


async def made_by(native: Caller, token: Any, path: str, **body: Any) -> Answer:
    return await native.with_token(token["token"]).post(path, {"name": "child", **body})


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("all.Application", {"list", "post", "get", "patch", "delete"}),
        ("all.Application.read", {"list", "get"}),
        ("applicationApiTokens.*", {"list", "post"}),
        ("applicationApiTokens.get", {"list"}),
        ("applicationApiTokens.post", {"post"}),
        ("applicationApiToken.*", {"get", "patch", "delete"}),
        ("applicationApiToken.get", {"get"}),
        ("applicationApiToken.patch", {"patch"}),
        ("applicationApiToken.delete", {"delete"}),
        ("devices.*", set()),
    ],
)
async def test_each_scope_word_allows_what_the_page_says(
    native: Caller, tokens: str, scope: str, allowed: set[str]
) -> None:
    other = (await made(native, tokens, scope=[]))["id"]
    holder = native.with_token((await made(native, tokens, scope=[scope]))["token"])
    answers = {
        "list": await holder.get(tokens),
        "post": await holder.post(tokens, {"name": "empty", "scope": []}),
        "get": await holder.get(f"{tokens}/{other}"),
        "patch": await holder.patch(f"{tokens}/{other}", {"name": "renamed"}),
        "delete": await holder.delete(f"{tokens}/{other}"),
    }
    assert {name for name, answer in answers.items() if answer.status < 300} == allowed
    for name in answers.keys() - allowed:
        refused(answers[name], 403, "Forbidden")


async def test_pages_count_from_0_and_repeat_the_query(native: Caller, here: Account) -> None:
    application = "ab" * 12
    await native.issue(owner={"type": "application", "id": application}, name="z")
    tokens = f"/losant/applications/{application}/tokens"
    for name, status in (("my first token", "active"), ("my second token", "inactive"), ("other", "active")):
        await made(native, tokens, name=name, status=status)
    page = (await native.get(tokens, perPage=2, page=1, _actions="false", _links="true", _embedded="true")).json
    assert [each["name"] for each in page.pop("items")] == ["other", "z"]
    assert page == {
        "count": 2, "totalCount": 4, "perPage": 2, "page": 1, "sortField": "name", "sortDirection": "asc",
        "ownerId": application, "ownerType": "application",
    }  # fmt: skip
    found = (await native.get(tokens, filterField="name", filter="my*token", sortDirection="DESC")).json
    assert [each["name"] for each in found["items"]] == ["my second token", "my first token"]
    assert (found["filter"], found["filterField"], found["sortDirection"]) == ("my*token", "name", "desc")
    for glob, names in (("in*", ["my second token"]), ("*active", ["my first token", "my second token", "other", "z"]),
                        ("off", []), ("?nact*e", ["my second token"]), ("*" * 254 + "x", [])):  # fmt: skip
        found = (await native.get(tokens, filterField="status", filter=glob)).json
        assert [each["name"] for each in found["items"]] == names
    by_id = (await native.get(tokens, sortField="id")).json["items"]
    assert [each["name"] for each in by_id] == ["z", "my first token", "my second token", "other"]
    beyond = (await native.get(tokens, page=9)).json
    assert (beyond["items"], beyond["count"], beyond["totalCount"]) == ([], 0, 4)
    blank = (await native.get(tokens, filterField="", filter="")).json
    assert blank["totalCount"] == 4
    assert here.application_id != application


@pytest.mark.parametrize(
    "query",
    [{"sortField": "owner"}, {"sortDirection": "up"}, {"page": -1}, {"page": "x"}, {"perPage": 0}, {"perPage": 1_001},
     {"filterField": "key", "filter": "x"}, {"filterField": "name", "filter": "a\\b"},
     {"filterField": "status", "filter": "a\\b"}],
)  # fmt: skip
async def test_an_invalid_query_is_malformed(native: Caller, tokens: str, query: dict[str, object]) -> None:
    refused(await native.get(f"{tokens}?{urlencode(query)}"), 400, "Validation")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": 7},
        {"name": "x" * 256},
        {"name": "a", "unknown": 1},
        {"name": "a", "scope": ["all.Everything"]},
        {"name": "a", "scope": ["all.User"]},
        {"name": "a", "scope": ["devices.get", "devices.get"]},
        {"name": "a", "scope": "all.Application"},
        {"name": "a", "status": "paused"},
        {"name": "a", "expirationDate": "soon"},
        {"name": "a\u202eb"},
        {"name": "a\x00b"},
        {"name": "a", "description": "d" * 32_768},
    ],
)
async def test_schemas_are_closed(native: Caller, tokens: str, body: dict[str, object]) -> None:
    refused(await native.post(tokens, body), 400, "Validation")


async def test_scope_and_expiry_cannot_change(native: Caller, tokens: str) -> None:
    token = await made(native, tokens)
    bodies: tuple[dict[str, object], ...]
    bodies = ({"scope": []}, {"expirationDate": "2030-01-01T00:00:00Z"}, {"token": "x"})
    for body in bodies:
        refused(await native.patch(f"{tokens}/{token['id']}", body), 400, "Validation", "There is no field")


async def test_an_inactive_an_expired_and_a_deleted_token_are_refused(native: Caller, tokens: str) -> None:
    inactive = await made(native, tokens, status="inactive")
    expired = await made(native, tokens, expirationDate="2017-06-13T04:00:00.000Z")
    deleted = await made(native, tokens)
    await native.delete(f"{tokens}/{deleted['id']}")
    for token in (inactive, expired, deleted):
        refused(await native.with_token(token["token"]).get(tokens), 401, "Unauthorized")
    refused(await Caller(native.session, "").get(tokens), 401, "Unauthorized")
    refused(await native.with_token("nonsense").get(tokens), 401, "Unauthorized")


async def test_an_unknown_application_and_another_accounts_are_not_found(
    native: Caller, native_there: Caller, there: Account, tokens: str
) -> None:
    token = await made(native, tokens)
    theirs = f"/losant/applications/{there.application_id}/tokens"
    for path in ("/losant/applications/" + "0" * 24 + "/tokens", theirs, "/losant/applications/x/tokens"):
        refused(await native.get(path), 404, "NotFound", "Application was not found")
        refused(await native.post(path, {"name": "a"}), 404, "NotFound", "Application was not found")
    assert (await native_there.get(tokens)).status == 404
    refused(await native_there.get(f"{theirs}/{token['id']}"), 404, "NotFound")
    other = "cd" * 12
    await native.issue(owner={"type": "application", "id": other})
    refused(await native.get(f"/losant/applications/{other}/tokens/{token['id']}"), 404, "NotFound")
    itself = native.with_token(token["token"])
    refused(await itself.get(f"/losant/applications/{other}/tokens"), 404, "NotFound", "Application was not found")
    refused(await native.get("/losant/devices"), 404, "NotFound")
    refused(await native.put(tokens, {}), 405, "MethodNotAllowed")


async def test_a_password_gives_a_token_with_the_rights_of_its_user(native: Caller, here: Account, tokens: str) -> None:
    stranger = Caller(native.session, "")
    given = {"email": here.admin_email, "password": here.admin_password}
    login = await stranger.post("/losant/auth/user", given)
    assert (login.status, list(login.json)) == (200, ["userId", "token"])
    assert HEX24.fullmatch(login.json["userId"])
    user = native.with_token(login.json["token"])
    token = await made(user, tokens)
    assert "expirationDate" not in token
    assert len((await user.get(tokens)).json["items"]) > 0
    own = f"/losant/applications/{login.json['userId']}/tokens"
    listed = (await user.get(own)).json
    assert listed["ownerType"] == "user"
    assert login.json["token"] not in str(listed)
    assert all("session" not in each["name"] for each in listed["items"])
    for wrong in ({"password": "wrong password"}, {"email": "nobody@here.example.org"}):
        refused(await stranger.post("/losant/auth/user", given | wrong), 401, "Unauthorized")
    refused(await stranger.post("/losant/auth/user", {"email": "a@b.example"}), 400, "Validation")
    refused(await stranger.post("/losant/auth/user", given | {"otp": "1"}), 400, "Validation")


async def test_a_login_requires_its_code_and_may_be_short(native: Caller) -> None:
    ada = await person(native, "administrator")
    await ada.enrolled()
    stranger = Caller(native.session, "")
    given: dict[str, object] = {"email": ada.email, "password": ada.password}
    refused(await stranger.post("/losant/auth/user", given), 401, "Unauthorized", "twoFactorCode")
    wrong = given | {"twoFactorCode": "000000"}
    refused(await stranger.post("/losant/auth/user", wrong), 401, "Unauthorized")
    login = await stranger.post("/losant/auth/user", given | {"twoFactorCode": ada.code(), "tokenTTL": 3600})
    assert login.status == 200, login.body
    assert (await native.with_token(login.json["token"]).get("/v1/tokens/self")).json["lifetime"] == "3600s"
    for seconds in (-1, 30 * 86_400 + 1, 1.5, "60"):
        refused(await stranger.post("/losant/auth/user", given | {"tokenTTL": seconds}), 400, "Validation")


async def test_the_creator_of_a_logins_token_is_its_user(native: Caller, here: Account, tokens: str) -> None:
    given = {"email": here.admin_email, "password": here.admin_password}
    login = (await Caller(native.session, "").post("/losant/auth/user", given)).json
    token = await made(native.with_token(login["token"]), tokens)
    creator = {"creatorId": login["userId"], "creatorType": "user", "creatorName": here.admin_email}
    assert token | creator == token
    assert (await native.get(f"{tokens}/{token['id']}")).json == {n: v for n, v in token.items() if n != "token"}
    seen = (await native.with_token(token["token"]).get(f"{tokens}/{token['id']}")).json
    assert "creatorName" not in seen
    assert seen["creatorId"] == login["userId"]


async def test_an_idempotency_key_creates_one_token(native: Caller, tokens: str) -> None:
    for status in ("active", "inactive"):
        key = {"Idempotency-Key": f"{status}-{'k' * 22}"}
        body = {"name": "once", "status": status}
        first, second = [await native.post(tokens, body, **key) for _ in range(2)]
        assert (first.status, first.json) == (201, second.json)
