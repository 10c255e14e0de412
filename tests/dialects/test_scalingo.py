"""Scalingo's user tokens: created with a password, exchanged for bearers of an hour, and accepted nowhere else."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientSession

from api.service import Answer, Caller, basic
from api.user_fixtures import person
from dialects.accounts import Account

TOKENS = "/scalingo/v1/tokens"
VALUE = re.compile(r"tk-us-[A-Za-z0-9_-]{48}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def with_password(web_session: ClientSession, here: Account) -> Caller:
    return Caller(web_session, basic(here.member_login, here.member_password))


async def made(caller: Caller, name: str = "Test Token") -> dict[str, Any]:
    answer = await caller.post(TOKENS, {"token": {"name": name}})
    assert answer.status == 201, answer.body
    return answer.json["token"]  # type: ignore[no-any-return]


async def exchanged(caller: Caller, value: str) -> Caller:
    """A caller with the bearer that a token was exchanged for."""
    answer = await Caller(caller.session, basic("", value)).post(f"{TOKENS}/exchange")
    assert answer.status == 200, answer.body
    return caller.with_token(answer.json["token"])


def refused(answer: Answer, status: int, **result: object) -> None:
    assert answer.status == status, answer.body
    assert answer.json | result == answer.json
    assert answer.headers["Content-Type"] == "application/json"


async def test_a_token_is_created_exchanged_listed_renewed_and_deleted(with_password: Caller) -> None:
    token = await made(with_password)
    assert list(token) == ["id", "name", "created_at", "last_used_at", "token"]
    assert VALUE.fullmatch(token["token"])
    assert MOMENT.fullmatch(token["created_at"])
    assert UUID(token["id"]).version == 7
    assert token["last_used_at"] is None

    bearer = await exchanged(with_password, token["token"])
    listed = next(each for each in (await bearer.get(TOKENS)).json["tokens"] if each["id"] == token["id"])
    assert list(listed) == ["id", "name", "created_at", "last_used_at"]
    assert MOMENT.fullmatch(listed["last_used_at"])

    renewed = await bearer.ask(
        "PATCH", f"{TOKENS}/{token['id']}/renew", b"", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert renewed.status == 200
    fresh = renewed.json["token"]
    assert fresh == token | {"token": fresh["token"]}
    assert fresh["token"] != token["token"]
    refused(await Caller(bearer.session, basic("", token["token"])).post(f"{TOKENS}/exchange"), 401)
    refused(await bearer.get(TOKENS), 401)  # the bearer of the old value ended with it

    bearer = await exchanged(with_password, fresh["token"])
    assert (await bearer.get(f"{TOKENS}/{token['id']}")).json["token"]["last_used_at"] is not None
    deleted = await bearer.delete(f"{TOKENS}/{token['id']}")
    assert (deleted.status, deleted.body) == (204, b"")
    refused(await Caller(bearer.session, basic("", fresh["token"])).post(f"{TOKENS}/exchange"), 401)


async def test_a_bearer_creates_tokens_without_an_expiry_with_both_forms_of_body(
    with_password: Caller, native: Caller
) -> None:
    bearer = await exchanged(with_password, (await made(with_password))["token"])
    flat = await bearer.post(TOKENS, {"name": "flat"})
    assert flat.status == 201
    token = (await native.get(f"/v1/tokens/{flat.json['token']['id']}")).json
    assert (token["expires_at"], token["dialect"], token["owner"]["type"]) == (None, "scalingo", "user")
    with_life = await native.issue(name="short", lifetime="2h", scopes=["all"], owner=token["owner"] | {"id": "self"})
    short = await exchanged(native, with_life["secret"])
    refused(await short.post(TOKENS, {"name": "longer than its maker"}), 403, code="beyond-caller")


async def test_a_token_is_no_bearer_and_a_password_only_creates(with_password: Caller, here: Account) -> None:
    value = (await made(with_password))["token"]
    refused(await with_password.with_token(value).get(TOKENS), 401)
    refused(await with_password.with_token(here.admin_token).get(TOKENS), 401)
    refused(await with_password.get(TOKENS), 401)
    refused(await Caller(with_password.session, basic("", value)).get(TOKENS), 401)
    refused(await with_password.post(f"{TOKENS}/exchange"), 401)
    native_bearer = (await with_password.with_token(here.admin_token).post("/v1/exchange")).json["access_token"]
    refused(await with_password.with_token(native_bearer).get(TOKENS), 401)
    bearer = await exchanged(with_password, value)
    assert (await bearer.get("/v1/tokens")).problem == "credentials-refused"
    refused(await Caller(with_password.session, "").get(TOKENS), 401)


async def test_the_calling_user_is_shown(with_password: Caller, here: Account) -> None:
    bearer = await exchanged(with_password, (await made(with_password))["token"])
    user = (await bearer.get("/scalingo/v1/users/self")).json["user"]
    assert (user["id"], user["email"]) == (f"us-{here.member_user_id}", here.member_email)
    assert (user["username"], user["flags"]) == ("member", {})


@pytest.mark.parametrize(
    ("body", "status", "result"),
    [
        (b"{}", 422, {"errors": {"name": ["can't be blank"]}}),
        (b'{"token":{"name":"  "}}', 422, {"errors": {"name": ["can't be blank"]}}),
        (b'{"token":{"name":"a\\u202eb"}}', 422, None),
        (b'{"token":{"name":"Test Token",}}', 400, None),
        (b"\xff", 400, None),
        (b'{"token":{"name":"' + b"x" * 300 + b'"}}', 422, None),
        (b'{"token":{"name":7}}', 422, None),
    ],
)
async def test_an_invalid_body_is_refused_in_the_vendors_words(
    with_password: Caller, body: bytes, status: int, result: dict[str, object] | None
) -> None:
    answer = await with_password.ask("POST", TOKENS, body)
    refused(answer, status, **(result or {}))
    if status == 400:
        assert answer.json["error"].startswith("There was a problem in the JSON you submitted: ")


async def test_a_missing_token_and_one_of_another_user_are_not_found(
    with_password: Caller, native: Caller, native_there: Caller
) -> None:
    bearer = await exchanged(with_password, (await made(with_password))["token"])
    foreign = (await native_there.issue())["token"]["id"]
    of_another = (await native.issue(owner={"type": "service", "id": "billing"}))["token"]["id"]
    for token_id in (foreign, of_another, "7", "019ca8c1-7b40-7000-8000-3f2a9c51d7e4", "self"):
        for method, path in (("GET", ""), ("PATCH", "/renew"), ("DELETE", "")):
            answer = await bearer.ask(method, f"{TOKENS}/{token_id}{path}")
            refused(answer, 404, resource="token", error="not found")
    refused(await bearer.get("/scalingo/v1/apps"), 404, resource="token", error="not found")
    refused(await bearer.put(TOKENS, {}), 405)


async def test_a_code_is_requested_in_the_vendors_words(native: Caller) -> None:
    ada = await person(native, scopes=("own.*",))
    await ada.enrolled()
    refused(await ada.asks().post(TOKENS, {"name": "laptop"}), 401, error="OTP Required")
    assert (await ada.asks(otp=ada.code()).post(TOKENS, {"name": "laptop"})).status == 201


async def test_an_idempotency_key_returns_the_same_value_again(with_password: Caller) -> None:
    bearer = await exchanged(with_password, (await made(with_password))["token"])
    key = {"Idempotency-Key": "k" * 22}
    first, second = [await bearer.post(TOKENS, {"name": "once"}, **key) for _ in range(2)]
    assert first.json == second.json
    assert second.headers["Idempotency-Replayed"] == "true"


async def test_times_are_those_of_the_ledger(with_password: Caller, native: Caller) -> None:
    token = await made(with_password)
    seen = (await native.get(f"/v1/tokens/{token['id']}")).json
    reported, kept = (datetime.fromisoformat(each["created_at"]) for each in (token, seen))
    assert timedelta() <= kept - reported < timedelta(milliseconds=1)
