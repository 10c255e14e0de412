"""Exchange, introspection and the keys behind them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from api.oauth import error
from api.service import Answer, Caller, basic

ISSUER = "https://tokens.example.org"
Introspect = Callable[[str], Awaitable[Any]]


@pytest.fixture
async def introspect(admin: Caller) -> Introspect:
    asker = await admin.holder("tokens.introspect")

    async def verdict(text: str) -> Any:
        answer = await asker.form("/v1/introspect", token=text, token_type_hint="access_token", more="ignored")
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
        return answer.json

    return verdict


async def exchanged(holder: Caller, body: object = None) -> str:
    answer = await holder.post("/v1/exchange", body)
    assert answer.status == 200, answer.body
    return str(answer.json["access_token"])


async def test_anybody_verifies_a_bearer_with_the_published_keys(admin: Caller) -> None:
    issued = await admin.issue(scopes=["a.b", "c.d"], owner={"type": "service", "id": "crm"})
    answer = await admin.with_token(issued["secret"]).post("/v1/exchange", {"audience": "orders", "scopes": ["a.b"]})
    assert (answer.json["token_type"], answer.json["expires_in"], answer.json["scope"]) == ("Bearer", 3600, "a.b")
    keys = KeySet.import_key_set((await admin.get("/.well-known/jwks.json")).json)
    bearer = jwt.decode(answer.json["access_token"], keys, algorithms=["ES256"])
    token = issued["token"]
    assert bearer.header["typ"] == "at+jwt"
    assert bearer.claims | {"iat": 0, "exp": 0} == {
        "iss": ISSUER, "sub": "crm", "client_id": token["id"], "aud": "orders", "iat": 0, "exp": 0,
        "jti": answer.json["jti"], "scope": "a.b", "account": token["account"], "token": token["id"], "generation": 1,
    }  # fmt: skip
    assert bearer.claims["exp"] - bearer.claims["iat"] == 3600


async def test_a_secret_as_basic_password_without_a_user_name_is_exchanged(admin: Caller) -> None:
    secret = (await admin.issue())["secret"]
    assert await exchanged(Caller(admin.session, basic("", secret)))


async def test_a_bearer_without_an_audience_is_accepted_by_the_service_itself(admin: Caller) -> None:
    holder = await admin.holder("tokens.read")
    bearer = admin.with_token(await exchanged(holder))
    assert (await bearer.get("/v1/tokens")).status == 200
    assert (await bearer.post("/v1/tokens", {"name": "x"})).problem == "scope-missing"
    foreign = admin.with_token(await exchanged(holder, {"audience": ["orders"]}))
    assert (await foreign.get("/v1/tokens")).problem == "credentials-refused"


async def test_a_bearer_gives_no_longer_lifetime_than_its_own(admin: Caller) -> None:
    bearer = admin.with_token(await exchanged(await admin.holder("all")))
    assert (await bearer.post("/v1/tokens", {"name": "x", "lifetime": "2h"})).problem == "beyond-caller"
    assert (await bearer.post("/v1/tokens", {"name": "x", "lifetime": "30m"})).status == 201


async def test_an_invalid_exchange_is_refused(admin: Caller, ours: dict[str, str]) -> None:
    holder = await admin.holder("a.b")
    bearer = admin.with_token(await exchanged(holder))
    password = Caller(admin.session, basic(ours["admin_login"], ours["admin_password"]))
    for caller in (bearer, password, admin.with_token("cfl_service_" + "a" * 49), admin.with_token("x")):
        assert (await caller.post("/v1/exchange")).problem == "credentials-refused"
    assert (await holder.post("/v1/exchange", {"scopes": ["a.b", "a.c"]})).problem == "beyond-caller"
    assert (await holder.post("/v1/exchange", {"scopes": None})).problem == "invalid-request"
    assert (await holder.post("/v1/exchange", {"scopes": ["*"]})).problem == "bad-scope"


async def test_empty_scopes_give_a_bearer_without_scopes(admin: Caller, introspect: Introspect) -> None:
    holder = await admin.holder("a.b")
    assert (await introspect(await exchanged(holder, {"scopes": []})))["scope"] == ""
    assert (await introspect(await exchanged(holder)))["scope"] == "a.b"


async def test_a_revoked_token_cannot_be_exchanged(admin: Caller) -> None:
    holder = await admin.holder(lifetime="10m")
    assert (await holder.post("/v1/exchange")).json["expires_in"] <= 600


async def test_introspection_describes_secrets_and_bearers(admin: Caller, introspect: Introspect) -> None:
    issued = await admin.issue(scopes=["a.b"], lifetime="1h", owner={"type": "application", "id": "shop"})
    token = issued["token"]
    same = {
        "active": True, "scope": "a.b", "client_id": token["id"], "sub": "shop", "token_type": "Bearer",
        "account": token["account"], "owner_type": "application", "generation": 1,
    }  # fmt: skip
    of_secret = await introspect(issued["secret"])
    assert {name: of_secret.pop(name) for name in same} == same
    assert set(of_secret) == {"exp", "iat"}
    of_bearer = await introspect(await exchanged(admin.with_token(issued["secret"])))
    assert {name: of_bearer.pop(name) for name in same} == same
    assert of_bearer.pop("iss") == of_bearer.pop("aud") == ISSUER
    assert set(of_bearer) == {"exp", "iat", "jti"}


async def test_an_ended_credential_is_inactive_without_details(
    admin: Caller, stranger: Caller, introspect: Introspect
) -> None:
    theirs = (await stranger.issue())["secret"]
    bearer = await exchanged(stranger.with_token(theirs))
    typo = theirs[:-1] + ("a" if theirs[-1] != "a" else "b")
    expired = (await admin.issue(lifetime="1us"))["secret"]
    for text in (theirs, bearer, typo, expired, "x", "a b", "é", "a.b.c", bearer[:-2] + "AA", "x" * 9_000):
        assert await introspect(text) == {"active": False}


@pytest.mark.parametrize(("verb", "body"), [("revoke", {"reason": "x"}), ("suspend", {}), ("rotate", {"grace": "0s"})])
async def test_secrets_and_bearers_end_with_the_answer_to_a_revocation(
    admin: Caller, introspect: Introspect, verb: str, body: dict[str, str]
) -> None:
    issued = await admin.issue()
    bearer = await exchanged(admin.with_token(issued["secret"]))
    assert (await introspect(issued["secret"]))["active"] is (await introspect(bearer))["active"] is True
    assert (await admin.post(f"/v1/tokens/{issued['token']['id']}/{verb}", body)).status == 200
    assert await introspect(issued["secret"]) == await introspect(bearer) == {"active": False}


async def test_a_bearer_loses_the_scopes_that_its_token_loses(admin: Caller, introspect: Introspect) -> None:
    issued = await admin.issue(scopes=["a.b", "c.d"])
    bearer = await exchanged(admin.with_token(issued["secret"]))
    await admin.patch(f"/v1/tokens/{issued['token']['id']}", {"scopes": ["c.*"]})
    assert (await introspect(bearer))["scope"] == "c.d"


async def test_introspection_needs_its_scope(admin: Caller) -> None:
    refused = await (await admin.holder("tokens.read")).form("/v1/introspect", token="x")
    assert error(refused) == (403, "insufficient_scope")
    assert 'scope="tokens.introspect"' in refused.headers["WWW-Authenticate"]


async def test_a_use_is_visible_within_seconds(admin: Caller, introspect: Introspect) -> None:
    issued = await admin.issue()
    path = f"/v1/tokens/{issued['token']['id']}"
    assert (await admin.get(path)).json["last_used_at"] is None
    await introspect(issued["secret"])

    async def used() -> Answer:
        for _ in range(40):
            answer = await admin.get(path)
            if answer.json["last_used_at"]:
                return answer
            await asyncio.sleep(0.1)
        raise AssertionError("the use was never written")

    answer = await used()
    assert answer.json["last_exchanged_at"] is None
    assert answer.json["revision"] == 1


async def test_an_exchange_counts_as_a_use(admin: Caller) -> None:
    issued = await admin.issue()
    await exchanged(admin.with_token(issued["secret"]))
    token = (await admin.get(f"/v1/tokens/{issued['token']['id']}")).json
    assert token["last_used_at"] == token["last_exchanged_at"] is not None


async def test_an_administrator_authenticates_with_a_password(admin: Caller, ours: dict[str, str]) -> None:
    person = Caller(admin.session, basic(ours["admin_login"].upper(), ours["admin_password"]))
    issued = await person.issue()
    assert issued["token"]["creator"]["kind"] == "user"
    for login, password in ((ours["admin_login"], "wrong"), ("nobody@example.org", ours["admin_password"])):
        refused = await Caller(admin.session, basic(login, password)).get("/v1/tokens")
        assert (refused.status, refused.problem) == (401, "credentials-refused")
        assert json.loads(refused.body)["detail"] == "These credentials are not valid, or no longer valid."
