"""C. A right with an expiry or for one owner is not extended by a detour."""

import asyncio
from pathlib import Path
from secrets import token_urlsafe
from uuid import UUID

import pytest
from aiohttp import ClientSession

from api.service import Caller, basic, founded
from api.user_fixtures import person
from counterfoil.postgres.connection import Connection
from counterfoil.settings import Settings

ELSEWHERE = {"networks": ["192.0.2.0/24"]}


@pytest.fixture
async def chief(session: ClientSession, settings: Settings, tmp_path: Path) -> Caller:
    """The administrator of a separate account for the test, by password."""
    told = await founded(settings, f"reach-{token_urlsafe(6).lower()}", tmp_path)
    return Caller(session, basic(told["admin_login"], told["admin_password"]))


async def test_a_caller_with_an_expiry_opens_no_account(admin: Caller) -> None:
    first = {"email": f"{token_urlsafe(8)}@theirs.example.org", "password": "four words and a 4th"}
    body = {"name": "Parked", "administrator": first}
    passing = await admin.holder("accounts.create", lifetime="1h")
    answer = await passing.post("/v1/accounts", body)
    assert (answer.status, answer.problem) == (403, "beyond-caller")
    bearer = (await (await admin.holder("accounts.create")).post("/v1/exchange")).json["access_token"]
    assert (await admin.with_token(bearer).post("/v1/accounts", body)).problem == "beyond-caller"
    lasting = await admin.holder("accounts.create")
    assert (await lasting.post("/v1/accounts", body)).status == 201


async def test_a_token_created_for_a_user_does_not_reveal_them_without_users_read(admin: Caller) -> None:
    ada = await person(admin)
    issuer = await admin.holder("tokens.create", "tokens.read", "own.read")
    mirror = {"name": "a mirror", "scopes": ["own.read"], "owner": {"type": "user", "id": ada.id}}
    assert (await issuer.get(f"/v1/users/{ada.id}")).problem == "scope-missing"
    assert (await issuer.post("/v1/tokens", mirror)).problem == "beyond-caller"
    assert (await (await admin.holder("tokens.*", "users.read")).post("/v1/tokens", mirror)).status == 201
    own = (await ada.asks().post("/v1/login")).json["issued"]["secret"]
    assert (await admin.with_token(own).get("/v1/users/self")).json["email"] == ada.email


async def test_a_lost_reply_is_not_repeated_to_a_network_that_is_excluded_now(chief: Caller) -> None:
    holder, key = chief.with_token((await chief.issue(scopes=["self.rotate"]))["secret"]), token_urlsafe(32)
    first = await holder.post("/v1/tokens/self/rotate", {"grace": "0s"}, Idempotency_Key=key)
    again = await holder.post("/v1/tokens/self/rotate", {"grace": "0s"}, Idempotency_Key=key)
    assert again.json["secret"] == first.json["secret"]
    assert (await chief.patch("/v1/account", {"policy": ELSEWHERE, "shut_me_out": True})).status == 200
    refused = await holder.post("/v1/tokens/self/rotate", {"grace": "0s"}, Idempotency_Key=key)
    assert (refused.problem, b"cfl_" in refused.body) == ("network-forbidden", False)


async def test_a_lost_reply_is_not_repeated_while_the_owner_is_disabled(chief: Caller) -> None:
    ada = await person(chief)
    issued = await chief.issue(scopes=["self.rotate"], owner={"type": "user", "id": ada.id})
    holder, key = chief.with_token(issued["secret"]), token_urlsafe(32)
    first = await holder.post("/v1/tokens/self/rotate", {"grace": "0s"}, Idempotency_Key=key)
    assert (await chief.post(f"/v1/users/{ada.id}/disable", {"reason": "left"})).status == 200
    refused = await holder.post("/v1/tokens/self/rotate", {"grace": "0s"}, Idempotency_Key=key)
    assert (refused.problem, b"cfl_" in refused.body) == ("secret-retired", False)
    assert (await chief.post(f"/v1/users/{ada.id}/enable")).status == 200
    again = await holder.post("/v1/tokens/self/rotate", {"grace": "0s"}, Idempotency_Key=key)
    assert again.json["secret"] == first.json["secret"]


async def test_a_password_from_an_excluded_network_spends_no_code_and_is_recorded(
    chief: Caller, owner: Connection
) -> None:
    ada = await person(chief, "administrator")
    codes = await ada.enrolled()
    assert (await chief.patch("/v1/account", {"policy": ELSEWHERE, "shut_me_out": True})).status == 200
    assert (await ada.asks(otp=codes[0]).get("/v1/account")).problem == "network-forbidden"
    left = await owner.fetchval("select count(*) from recovery_code where user_id = $1", UUID(ada.id))
    assert left == len(codes)
    async with asyncio.timeout(30):
        while True:
            if await owner.fetchval("select count from attempt where subject_id = $1", UUID(ada.id)):
                break
            await asyncio.sleep(0.1)


async def test_an_idempotency_key_gives_a_bearer_no_answer_meant_for_its_token(admin: Caller) -> None:
    token = await admin.holder("tokens.create", "invoices.*")
    body, key = {"name": "child", "scopes": ["invoices.read"]}, "a-key-of-more-than-twenty-two-letters"
    first = await token.post("/v1/tokens", body, Idempotency_Key=key)
    assert first.status == 201
    bought = await token.post("/v1/exchange", {"scopes": ["tokens.create"]})
    narrow = admin.with_token(bought.json["access_token"])
    assert (await narrow.post("/v1/tokens", body, Idempotency_Key=key)).problem == "key-reused"
    assert (await narrow.post("/v1/tokens", body)).problem == "beyond-caller"
    assert (await token.post("/v1/tokens", body, Idempotency_Key=key)).json == first.json


async def test_an_idempotency_key_gives_a_bearer_no_secret_that_outlives_it(admin: Caller) -> None:
    token = admin.with_token((await admin.issue(scopes=["tokens.*", "invoices.*"], lifetime="24h"))["secret"])
    bearer = admin.with_token((await token.post("/v1/exchange")).json["access_token"])
    body, key = {"name": "child", "scopes": ["invoices.read"], "lifetime": "23h"}, token_urlsafe(32)
    first = await token.post("/v1/tokens", body, Idempotency_Key=key)
    assert (await bearer.post("/v1/tokens", body)).problem == "beyond-caller"
    refused = await bearer.post("/v1/tokens", body, Idempotency_Key=key)
    assert (refused.status, refused.problem, b"cfl_" in refused.body) == (403, "beyond-caller", False)
    assert (await token.post("/v1/tokens", body, Idempotency_Key=key)).json == first.json
    path, key = f"/v1/tokens/{first.json['token']['id']}", token_urlsafe(32)
    rotated = await token.post(f"{path}/rotate", {"grace": "0s"}, Idempotency_Key=key)
    assert (await bearer.post(f"{path}/rotate", {"grace": "0s"}, Idempotency_Key=key)).problem == "beyond-caller"
    assert (await token.post(f"{path}/rotate", {"grace": "0s"}, Idempotency_Key=key)).json == rotated.json
    assert (await admin.post(f"{path}/revoke", {"reason": "leaked"})).status == 200
    gone = await token.post(f"{path}/rotate", {"grace": "0s"}, Idempotency_Key=key)
    assert (gone.problem, b"cfl_" in gone.body) == ("secret-no-longer-available", False)


async def test_an_idempotency_key_gives_a_bearer_no_password_of_a_user_who_outlives_it(admin: Caller) -> None:
    bearer = admin.with_token((await admin.post("/v1/exchange")).json["access_token"])
    body, key = {"email": f"{token_urlsafe(8)}@ours.example.org", "role": "member"}, token_urlsafe(32)
    made = await admin.post("/v1/users", body, Idempotency_Key=key)
    assert (await bearer.post("/v1/users", body, Idempotency_Key=key)).problem == "beyond-caller"
    assert (await admin.post("/v1/users", body, Idempotency_Key=key)).json == made.json
    path, key = f"/v1/users/{made.json['user']['id']}/password", token_urlsafe(32)
    reset = await admin.post(path, {}, Idempotency_Key=key)
    refused = await bearer.post(path, {}, Idempotency_Key=key)
    assert (refused.problem, reset.json["password"].encode() in refused.body) == ("beyond-caller", False)


async def test_a_former_secret_in_its_grace_gets_the_reply_to_its_own_rotation(admin: Caller) -> None:
    issued = await admin.issue(scopes=["self.rotate"], lifetime="24h")
    holder, key = admin.with_token(issued["secret"]), token_urlsafe(32)
    bearer = admin.with_token((await holder.post("/v1/exchange")).json["access_token"])
    first = await holder.post("/v1/tokens/self/rotate", {"grace": "2h"}, Idempotency_Key=key)
    again = await holder.post("/v1/tokens/self/rotate", {"grace": "2h"}, Idempotency_Key=key)
    assert (first.status, again.json) == (200, first.json)
    assert (
        await bearer.post("/v1/tokens/self/rotate", {"grace": "2h"}, Idempotency_Key=key)
    ).problem == "beyond-caller"


async def test_an_ended_secret_gets_no_reply_except_to_its_own_rotation(admin: Caller) -> None:
    issued = await admin.issue(scopes=["self.rotate", "tokens.rotate"])
    path = f"/v1/tokens/{(await admin.issue())['token']['id']}/rotate"
    holder, keys, grace = admin.with_token(issued["secret"]), [token_urlsafe(32) for _ in range(3)], {"grace": "0s"}
    assert (await holder.post(path, grace, Idempotency_Key=keys[0])).status == 200
    own = await holder.post("/v1/tokens/self/rotate", grace, Idempotency_Key=keys[1])
    second = admin.with_token(own.json["secret"])
    assert (await holder.post("/v1/tokens/self/rotate", grace, Idempotency_Key=keys[1])).json == own.json
    third = await second.post("/v1/tokens/self/rotate", grace, Idempotency_Key=keys[2])
    assert (await second.post("/v1/tokens/self/rotate", grace, Idempotency_Key=keys[2])).json == third.json
    for where, key in ((path, keys[0]), ("/v1/tokens/self/rotate", keys[2])):
        refused = await holder.post(where, grace, Idempotency_Key=key)
        assert (refused.problem, b"cfl_" in refused.body) == ("secret-retired", False)
