"""Canvus' access tokens: their whole life as on its page, their owners, and logins."""

import re
from typing import Any

import pytest
from aiohttp import ClientSession

from api.service import Answer, Caller
from api.user_fixtures import person
from dialects.accounts import Account

PATH = "/canvus/api/v1/users"
ID = re.compile("[A-Za-z0-9]{80}")
PLAIN = re.compile("[A-Za-z0-9_-]{43}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}")


def with_token(session: ClientSession, plain: str) -> Caller:
    return Caller(session, "", {"Private-Token": plain})


@pytest.fixture
def member(web_session: ClientSession, here: Account) -> Caller:
    return with_token(web_session, here.member_token)


@pytest.fixture
def admin(web_session: ClientSession, here: Account) -> Caller:
    return with_token(web_session, here.admin_token)


@pytest.fixture
def own(here: Account) -> str:
    """The path of the member's tokens."""
    return f"{PATH}/{here.member_user_number}/access-tokens"


async def made(caller: Caller, path: str, description: str = "Second token") -> dict[str, Any]:
    answer = await caller.post(path, {"description": description})
    assert answer.status == 200, answer.body
    return answer.json  # type: ignore[no-any-return]


def refused(answer: Answer, status: int, msg: str | None = None) -> None:
    assert answer.status == status, answer.body
    assert set(answer.json) == {"msg", "message"}
    assert msg in (None, answer.json["msg"])
    assert answer.headers["Content-Type"] == "application/json"


async def test_a_token_is_created_used_renamed_and_deleted(member: Caller, own: str, native: Caller) -> None:
    token = await made(member, own)
    assert list(token) == ["created_at", "description", "id", "plain_token"]
    assert token["description"] == "Second token"
    for form, text in ((ID, "id"), (PLAIN, "plain_token"), (MOMENT, "created_at")):
        assert form.fullmatch(token[text])
    shown = {name: token[name] for name in ("created_at", "description", "id")}
    theirs = with_token(member.session, token["plain_token"])
    assert shown in (await theirs.get(own)).json
    assert (await theirs.get(f"{own}/{token['id']}")).json == shown
    changed = await theirs.patch(f"{own}/{token['id']}", {"description": "Updated description"})
    assert (changed.status, changed.json) == (200, shown | {"description": "Updated description"})

    mine = native.with_token(token["plain_token"])
    itself = (await mine.get("/v1/tokens/self")).json
    assert (itself["dialect"], itself["name"], itself["expires_at"]) == ("canvus", "Updated description", None)
    assert itself["scopes"] == ["own.*", "scopes.read", "losant.application.*", "virtuozzo.*"]

    deleted = await theirs.delete(f"{own}/{token['id']}")
    assert (deleted.status, deleted.body) == (200, b"")
    refused(await theirs.get(own), 401)
    refused(await member.get(f"{own}/{token['id']}"), 404)
    assert token["id"] not in {each["id"] for each in (await member.get(own)).json}
    assert (await native.get(f"/v1/tokens/{itself['id']}")).json["reason"] == "Deleted through the Canvus API."


async def test_a_json_body_sent_as_a_form_and_the_field_name_are_accepted(member: Caller, own: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    by_curl = await member.ask("POST", own, b'{"description":"By curl"}', headers=form)
    assert (by_curl.status, by_curl.json["description"]) == (200, "By curl")
    named = await member.post(own, {"name": "By name", "expires": None})
    assert (named.status, named.json["description"], named.json["name"]) == (200, "By name", "By name")
    renamed = await member.patch(f"{own}/{named.json['id']}", {"name": "Anew"})
    assert (renamed.json["description"], renamed.json["name"]) == ("Anew", "Anew")


@pytest.mark.parametrize("body", [
    {}, {"description": ""}, {"description": "  "}, {"description": 7}, {"description": "a\x00"},
    {"name": "a", "expires": "2090-01-01"}, {"name": "a", "scopes": []}, ["a"],
])  # fmt: skip
async def test_a_token_without_a_description_or_with_too_many_rights_is_refused(
    member: Caller, own: str, body: object
) -> None:
    refused(await member.post(own, body), 400)


async def test_errors_of_the_name_are_reported_for_the_description(member: Caller, own: str) -> None:
    refused(
        await member.post(own, {"description": "x" * 256}), 400,
        "description has 256 characters; it may have at most 255.",
    )  # fmt: skip
    for text in ("a\u202eb", "a\x00", "\u200b"):
        answer = await member.post(own, {"description": text})
        refused(answer, 400)
        assert text not in answer.body.decode()


async def test_only_administrators_manage_tokens_of_others(
    admin: Caller, member: Caller, here: Account, own: str, native: Caller
) -> None:
    token = await made(admin, own, "for the member")
    itself = (await native.with_token(token["plain_token"]).get("/v1/tokens/self")).json
    assert itself["owner"] == {"type": "user", "id": str(here.member_user_id)}
    assert "all" not in itself["scopes"]
    assert token["id"] in {each["id"] for each in (await member.get(own)).json}
    theirs = f"{PATH}/{here.admin_user_number}/access-tokens"
    high = await made(admin, theirs, "of the administrator")
    nobody = f"{PATH}/987654321/access-tokens"
    for path in (theirs, nobody):
        refused(await member.get(path), 403, "Permission denied")
        refused(await member.post(path, {"description": "stolen"}), 403, "Permission denied")
        refused(await member.get(f"{path}/{high['id']}"), 403)
        refused(await member.patch(f"{path}/{high['id']}", {"description": "x"}), 403)
        refused(await member.delete(f"{path}/{high['id']}"), 403)
    refused(await member.get(f"{own}/{high['id']}"), 404)
    refused(await member.delete(f"{own}/{high['id']}"), 404)
    refused(await admin.get(f"{own}/{high['id']}"), 404)  # a token of another user than in the path
    refused(await admin.get(nobody), 404)
    for number in ("0", "x", "-1", "1" * 30, "1001x"):
        refused(await admin.get(f"{PATH}/{number}/access-tokens"), 404)


async def test_ids_are_accepted_only_in_their_account_and_for_their_kind(
    member: Caller, own: str, web_session: ClientSession, there: Account
) -> None:
    token = await made(member, own)
    other = with_token(web_session, there.admin_token)
    refused(await other.get(f"{PATH}/{there.member_user_number}/access-tokens/{token['id']}"), 404)
    for text in (
        token["id"][:-1],
        token["id"] + "A",
        token["id"][:-1] + ("A" if token["id"][-1] != "A" else "B"),
        "A" * 80,
    ):
        refused(await member.get(f"{own}/{text}"), 404)
    salts = {(await made(caller, path))["id"][:36] for caller, path in ((member, own), (other, own))}
    assert len(salts) == 1  # as on the page: 7 characters of the method and 20 of the salt are the same everywhere


async def test_a_token_has_the_same_id_in_every_dialect_and_natively(
    member: Caller, own: str, native: Caller, here: Account
) -> None:
    owner = {"type": "user", "id": str(here.member_user_id)}
    issued = await native.issue(name="native", owner=owner, scopes=["own.read"])
    (found,) = [each for each in (await member.get(own)).json if each["description"] == "native"]
    renamed = await member.patch(f"{own}/{found['id']}", {"description": "by canvus"})
    assert renamed.status == 200
    assert (await native.get(f"/v1/tokens/{issued['token']['id']}")).json["name"] == "by canvus"
    await native.post(f"/v1/tokens/{issued['token']['id']}/revoke", {"reason": "done"})
    refused(await member.get(f"{own}/{found['id']}"), 404)


async def test_missing_and_double_credentials_are_refused(web_session: ClientSession, own: str, member: Caller) -> None:
    missing = await Caller(web_session, "").get(own)
    refused(missing, 401)
    assert missing.json["message"] == "401 Unauthorized"
    refused(await with_token(web_session, "x" * 43).get(own), 401)
    refused(await Caller(web_session, member.headers["Private-Token"]).get(own), 401)
    async with web_session.get(own, headers=[("Private-Token", "a"), ("Private-Token", "b")]) as answer:
        assert answer.status == 400
        assert set(await answer.json()) == {"msg", "message"}
    refused(await member.put(own, {}), 405)
    refused(await member.get(f"{PATH}/1/nothing"), 404)


async def test_a_password_logs_in_for_a_day_and_logs_out(native: Caller, web_session: ClientSession) -> None:
    somebody = await person(native)
    strangers = Caller(web_session, "")
    logged_in = await strangers.post(f"{PATH}/login", {"email": somebody.login, "password": somebody.password})
    assert logged_in.status == 200, logged_in.body
    user = logged_in.json["user"]
    assert (user["id"], user["email"], user["admin"], user["state"]) == (
        somebody.number, somebody.email, False, "normal",
    )  # fmt: skip
    assert set(user) == {
        "admin", "approved", "blocked", "created_at", "email", "id", "last_login", "name", "state",
    }  # fmt: skip
    assert PLAIN.fullmatch(logged_in.json["token"])
    session, path = with_token(web_session, logged_in.json["token"]), f"{PATH}/{somebody.number}/access-tokens"
    token = await made(session, path, "outlives the login")
    assert (await session.get(path)).json == [{each: token[each] for each in ("created_at", "description", "id")}]

    again = await strangers.post(f"{PATH}/login", {"token": token["plain_token"]})
    assert (again.status, again.json["user"]["id"]) == (200, somebody.number)
    assert again.json["token"] not in (token["plain_token"], logged_in.json["token"])
    longer = await strangers.post(f"{PATH}/login", {"token": again.json["token"]})
    assert longer.status == 200

    assert (await session.post(f"{PATH}/logout", {})).status == 200
    refused(await session.get(path), 401)
    assert (await strangers.post(f"{PATH}/logout", {"token": longer.json["token"]})).status == 200
    refused(await with_token(web_session, longer.json["token"]).get(path), 401)
    assert (await with_token(web_session, again.json["token"]).get(path)).status == 200
    assert (await with_token(web_session, token["plain_token"]).post(f"{PATH}/logout")).status == 200
    assert (await with_token(web_session, token["plain_token"]).get(path)).status == 200  # it is no login
    refused(await strangers.post(f"{PATH}/logout"), 401)


async def test_a_login_needs_the_password_and_a_code_if_enrolled(native: Caller) -> None:
    somebody = await person(native)
    strangers = Caller(native.session, "")
    refused(await strangers.post(f"{PATH}/login", {"email": somebody.login, "password": "wrong"}), 401)
    refused(await strangers.post(f"{PATH}/login", {"email": somebody.login}), 401)
    refused(await strangers.post(f"{PATH}/login", {"token": "x" * 43}), 401)
    await somebody.enrolled()
    given = {"email": somebody.login, "password": somebody.password}
    refused(await strangers.post(f"{PATH}/login", given), 401)
    assert (await strangers.post(f"{PATH}/login", given, X_Authorization_OTP=somebody.code())).status == 200


async def test_a_session_made_by_an_expiring_token_expires_with_it(native: Caller) -> None:
    somebody = await person(native)
    owner = {"type": "user", "id": somebody.id}
    short = await native.issue(owner=owner, scopes=["own.*"], lifetime="1h")
    logged_in = await Caller(native.session, "").post(f"{PATH}/login", {"token": short["secret"]})
    assert logged_in.status == 200, logged_in.body
    session = (await native.with_token(logged_in.json["token"]).get("/v1/tokens/self")).json
    assert session["expires_at"] <= short["token"]["expires_at"]
    assert session["dialect"] == "canvus.bounded.session"
    service = await native.issue(owner={"type": "service", "id": "nobody"}, scopes=["own.*"])
    refused(await Caller(native.session, "").post(f"{PATH}/login", {"token": service["secret"]}), 404)


async def test_an_idempotency_key_makes_a_call_repeatable(member: Caller, own: str) -> None:
    key = {"Idempotency_Key": "canvus-" + "k" * 30}
    first, second = [await member.post(own, {"description": "once by a key"}, **key) for _ in range(2)]
    assert first.json == second.json
    assert len([each for each in (await member.get(own)).json if each["description"] == "once by a key"]) == 1
