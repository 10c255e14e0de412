"""Passwords, disabling and removal of users over HTTP, and the effects on their tokens."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiohttp import ClientSession
from argon2 import PasswordHasher
from msgspec import json

from api.service import Caller, basic, founded, served
from api.test_tenants import shown
from api.user_fixtures import Person, person
from counterfoil.settings import Settings
from counterfoil_api.application import make_app, routes


async def test_changing_the_own_password_needs_the_present_one_and_no_token(admin: Caller) -> None:
    ada = await person(admin)
    token = admin.with_token((await ada.asks().post("/v1/login")).json["issued"]["secret"])
    assert (await token.post("/v1/users/self/password")).problem == "password-needed"
    assert (await token.post(f"/v1/users/{ada.id}/password")).problem == "scope-missing"
    assert (await ada.asks().post("/v1/users/self/password", {"password": ada.email})).problem == "bad-password"
    changed = await ada.asks().post(f"/v1/users/{ada.id}/password", {"password": "another mule altogether"})
    assert (changed.status, changed.json["password"]) == (200, None)
    assert (await ada.asks().get("/v1/users/self")).problem == "credentials-refused"
    assert (await ada.asks(password="another mule altogether").get("/v1/users/self")).status == 200


async def test_a_password_is_reset_and_shown_once(admin: Caller) -> None:
    ada, key = await person(admin), uuid4().hex
    reset = await admin.post(f"/v1/users/{ada.number}/password", {}, Idempotency_Key=key)
    again = await admin.post(f"/v1/users/{ada.number}/password", {}, Idempotency_Key=key)
    assert reset.json == again.json
    assert (await ada.asks(password=reset.json["password"]).get("/v1/users/self")).status == 200
    assert (await ada.asks().get("/v1/users/self")).problem == "credentials-refused"


async def test_composed_and_decomposed_letters_are_equal(admin: Caller) -> None:
    ada = await person(admin, password="caf\u00e9 au lait, merci")
    assert (await ada.asks(password="cafe\u0301 au lait, merci").get("/v1/users/self")).status == 200


async def test_an_old_hash_is_renewed_silently(admin: Caller, api_settings: Settings) -> None:
    ada = await person(admin)
    weak = PasswordHasher(time_cost=1, memory_cost=1024).hash(ada.password)
    connection = await asyncpg.connect(api_settings.database_url)
    await connection.execute("update password set hash = $2 where user_id = $1", ada.id, weak)
    assert (await ada.asks().get("/v1/users/self")).json["revision"] == 1
    assert not PasswordHasher().check_needs_rehash(
        await connection.fetchval("select hash from password where user_id = $1", ada.id)
    )
    await connection.close()
    assert (await ada.asks().get("/v1/users/self")).status == 200


async def test_a_disabled_user_and_their_tokens_are_refused_until_enabled(admin: Caller) -> None:
    ada = await person(admin)
    issued = [(await ada.asks().post("/v1/login")).json["issued"] for _ in range(2)]
    kept, revoked = (admin.with_token(each["secret"]) for each in issued)
    bearer = admin.with_token((await kept.post("/v1/exchange")).json["access_token"])
    assert (await admin.post(f"/v1/users/{ada.id}/disable", {"reason": "on leave"})).json["status"] == "disabled"
    assert (await ada.asks().get("/v1/users/self")).problem == "credentials-refused"
    for asking in (kept, revoked, bearer):
        assert (await asking.get("/v1/tokens/self")).problem == "owner-disabled"
    await admin.post(f"/v1/tokens/{issued[1]['token']['id']}/revoke", {"reason": "not that one"})
    assert (await admin.post(f"/v1/users/{ada.id}/enable")).json["status"] == "active"
    assert (await kept.get("/v1/tokens/self")).status == 200
    assert (await bearer.get("/v1/tokens/self")).status == 200
    assert (await revoked.get("/v1/tokens/self")).problem == "token-revoked"
    assert (await ada.asks().get("/v1/users/self")).status == 200


async def test_removal_is_final_and_frees_the_address(admin: Caller) -> None:
    ada = await person(admin)
    token = admin.with_token((await ada.asks().post("/v1/login")).json["issued"]["secret"])
    gone = await admin.post(f"/v1/users/{ada.id}/remove", {"reason": "left"})
    assert (gone.json["status"], gone.json["email"]) == ("removed", None)
    assert (await token.get("/v1/tokens/self")).problem == "owner-disabled"
    assert (await admin.post(f"/v1/users/{ada.id}/remove", {"reason": "again"})).json == gone.json
    for path in ("enable", "password"):
        assert (await admin.post(f"/v1/users/{ada.id}/{path}")).problem == "user-gone"
    anew = await admin.post("/v1/users", {"email": ada.email, "role": "member"})
    assert anew.json["user"]["id"] != ada.id
    assert (await token.get("/v1/tokens/self")).problem == "owner-disabled"


async def test_the_last_administrator_cannot_be_removed(api_settings: Settings, tmp_path: Any) -> None:
    alone = await founded(api_settings, f"alone-{uuid4().hex[:8]}", tmp_path)
    async with served(make_app(api_settings)) as url, ClientSession(url) as session:
        boss = Caller(session, basic(alone["admin_login"], alone["admin_password"]))
        for path in ("disable", "remove"):
            assert (await boss.post(f"/v1/users/self/{path}", {"reason": "x"})).problem == "last-administrator"
        assert (await boss.patch("/v1/users/self", {"role": "member"})).problem == "last-administrator"
        made = await boss.post("/v1/users", {"email": f"{uuid4().hex}@x.org", "role": "administrator"})
        assert (await boss.patch("/v1/users/self", {"role": "member"})).json["role"] == "member"
        other = Caller(session, basic(made.json["user"]["login"], made.json["password"]))
        assert (await other.post("/v1/users/self/remove", {"reason": "x"})).problem == "last-administrator"


async def test_the_events_of_a_user_are_listed_in_order(admin: Caller) -> None:
    ada = await person(admin)
    await admin.patch(f"/v1/users/{ada.id}", {"role": "operator"})
    await admin.post(f"/v1/users/{ada.id}/disable", {"reason": "on leave"})
    await admin.post(f"/v1/users/{ada.id}/enable")
    path, types, cursor = f"/v1/users/{ada.id}/events", [], None
    while True:
        more: dict[str, str] = {} if cursor is None else {"cursor": cursor}
        page = (await admin.get(path, limit="3", **more)).json
        types += [event["type"] for event in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert types == ["created", "updated", "disabled", "enabled"]
    assert [event["type"] for event in (await ada.asks().get("/v1/users/self/events")).json["items"]] == types
    member = (await person(admin)).asks()
    assert (await member.get(f"/v1/users/{ada.number}/events")).problem == "scope-missing"


FOREIGN = [
    ("GET", "", None), ("PATCH", "", {"role": "member"}), ("GET", "/events", None), ("POST", "/password", {}),
    ("POST", "/disable", {"reason": "x"}), ("POST", "/enable", {}), ("POST", "/remove", {"reason": "x"}),
    ("POST", "/totp/remove", {}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "tail", "body"), FOREIGN)
async def test_a_user_of_another_account_is_answered_as_unknown(
    admin: Caller, stranger: Caller, method: str, tail: str, body: Any
) -> None:
    ada, token = await person(admin), (await admin.get("/v1/tokens/self")).json

    async def answer(ref: object) -> Any:
        path = f"/v1/users/{ref}{tail}"
        return await (stranger.get(path) if method == "GET" else stranger.ask(method, path, json.encode(body)))

    never = shown(await answer(uuid4()))
    assert never[0] == 404
    for ref in (ada.id, ada.number, token["owner"]["id"], token["id"], token["account"], 2**63 - 1, 10**18):
        assert shown(await answer(ref)) == never
    assert (await answer("0")).problem == "bad-reference"
    assert (await admin.get(f"/v1/users/{ada.id}")).json["revision"] == 1


def test_every_user_operation_is_tried_with_a_user_of_another_account() -> None:
    paths = {(route.method, route.path.partition("{user}")[2]) for route in routes() if "{user}" in route.path}
    assert paths == {(method, tail) for method, tail, _ in FOREIGN}


async def test_a_login_is_a_token_with_all_rights_of_the_user(admin: Caller) -> None:
    ada = await person(admin, "operator", scopes=("invoices.read",))
    made = await ada.asks().post("/v1/login", {"lifetime": "20m"})
    issued = made.json["issued"]
    mine = (await ada.asks().get("/v1/users/self")).json
    assert made.json["user"] == mine
    assert issued["token"]["owner"] == {"type": "user", "id": ada.id}
    assert {"tokens.revoke", "invoices.read"} <= set(issued["token"]["scopes"])
    token = admin.with_token(issued["secret"])
    assert (await token.get("/v1/tokens")).status == 200
    assert (await token.post("/v1/login")).problem == "password-needed"
    narrow = await ada.asks().post("/v1/login", {"scopes": ["invoices.read"]})
    assert narrow.json["issued"]["token"]["scopes"] == ["invoices.read"]
    assert (await ada.asks().post("/v1/login", {"scopes": ["all"]})).problem == "beyond-caller"


async def test_a_token_reads_its_owner_if_it_may_read_the_owners_tokens(admin: Caller) -> None:
    ada = await person(admin)
    own = admin.with_token((await ada.asks().post("/v1/login")).json["issued"]["secret"])
    assert (await own.get("/v1/users/self")).json["id"] == ada.id
    bare = await admin.issue(owner={"type": "user", "id": ada.id}, scopes=["scopes.read"])
    assert (await admin.with_token(bare["secret"]).get("/v1/users/self")).problem == "scope-missing"
    service = await admin.holder("users.read", owner={"type": "service", "id": "x"})
    assert (await service.get("/v1/users/self")).problem == "bad-reference"


async def test_a_caller_who_loses_a_role_during_a_request_loses_its_rights(admin: Caller) -> None:
    lead: Person = await person(admin, "administrator")
    asks = [lead.asks().post("/v1/users", {"email": f"{uuid4().hex}@x.org", "role": "administrator"}) for _ in range(4)]
    *made, _ = await asyncio.gather(*asks, admin.patch(f"/v1/users/{lead.id}", {"role": "member"}))
    assert {answer.status for answer in made} <= {201, 403, 409}
    last = await lead.asks().post("/v1/users", {"email": f"{uuid4().hex}@x.org", "role": "member"})
    assert last.problem == "scope-missing"


async def test_a_repeated_change_of_a_user_under_a_key_happens_once(admin: Caller) -> None:
    ada = await person(admin)
    path, reason = f"/v1/users/{ada.id}/disable", {"reason": "on leave"}
    first = await admin.post(path, reason, Idempotency_Key="leave-1")
    await admin.post(f"/v1/users/{ada.id}/enable")
    again = await admin.post(path, reason, Idempotency_Key="leave-1")
    assert (again.status, again.json) == (first.status, first.json)
    assert (await admin.get(f"/v1/users/{ada.id}")).json["status"] == "active"
    other = await admin.post(path, {"reason": "another"}, Idempotency_Key="leave-1")
    assert (other.status, other.problem) == (422, "key-reused")
