"""The token endpoint: client credentials, and token exchange that never gives more than it got."""

import asyncio
from typing import Any

import pytest

from api.oauth import ACCESS_TOKEN, EXCHANGE, ISSUER, JWT, TOKEN, anybody, as_client, bearer, claims, error, exchanged
from api.service import Caller, basic

CREDENTIALS = {"grant_type": "client_credentials"}


async def introspected(admin: Caller, text: str) -> Any:
    return (await admin.form("/v1/introspect", token=text)).json


async def test_a_client_gets_a_bearer_for_its_id_and_secret(admin: Caller) -> None:
    issued = await admin.issue(scopes=["a.b", "c.*"], owner={"type": "service", "id": "crm"})
    answer = await as_client(admin, issued).form(TOKEN, **CREDENTIALS, scope="c.d a.b", audience="orders")
    reply = answer.json
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    assert (reply["token_type"], reply["expires_in"], reply["scope"]) == ("Bearer", 3600, "c.d a.b")
    assert set(reply) == {"access_token", "token_type", "expires_in", "scope", "jti"}
    decoded = await claims(admin, reply["access_token"])
    assert (decoded["aud"], decoded["client_id"], decoded["sub"]) == ("orders", issued["token"]["id"], "crm")
    in_the_form = {"client_id": issued["token"]["id"], "client_secret": issued["secret"]}
    assert (await anybody(admin).form(TOKEN, **CREDENTIALS, **in_the_form)).json["scope"] == "a.b c.*"


async def test_wrong_client_credentials_are_refused_in_their_own_scheme(admin: Caller) -> None:
    issued, other = await admin.issue(), await admin.issue()
    token_id, secret = issued["token"]["id"], issued["secret"]
    wrong = [
        basic(other["token"]["id"], secret), basic(token_id, other["secret"]), basic(token_id, secret[:-1]),
        basic(token_id, ""), basic("nobody", secret), basic("a@example.org", "wrong-password"), "Digest x", "",
    ]  # fmt: skip
    for credentials in wrong:
        answer = await Caller(admin.session, credentials).form(TOKEN, **CREDENTIALS)
        assert error(answer) == (401, "invalid_client"), credentials
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="counterfoil", charset="UTF-8"'
    for client, shown in ((other["token"]["id"], secret), ("x", "y"), (token_id, "a b")):
        fields = {"client_id": client, "client_secret": shown}
        assert error(await anybody(admin).form(TOKEN, **CREDENTIALS, **fields)) == (401, "invalid_client")
    both = {"client_id": token_id, "client_secret": secret}
    assert error(await as_client(admin, issued).form(TOKEN, **CREDENTIALS, **both)) == (400, "invalid_request")


async def test_an_invalid_grant_request_is_refused(admin: Caller) -> None:
    client = as_client(admin, await admin.issue(scopes=["a.b"]))
    for fields, name in (
        ({}, "invalid_request"), ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "unsupported_grant_type"), ({**CREDENTIALS, "scope": "a.c"}, "invalid_scope"),
        ({**CREDENTIALS, "scope": "*"}, "invalid_scope"), ({**CREDENTIALS, "scope": ""}, "invalid_scope"),
        ({**CREDENTIALS, "scope": "a.b  a.b"}, "invalid_scope"),
        ({**CREDENTIALS, "resource": "orders"}, "invalid_target"),
        ({**CREDENTIALS, "resource": "https://a.example/#x"}, "invalid_target"),
        ({**CREDENTIALS, "audience": "é"}, "invalid_target"), ({**CREDENTIALS, "expires_in": "0"}, "invalid_request"),
        ({**CREDENTIALS, "expires_in": "1h"}, "invalid_request"),
        ({**CREDENTIALS, "expires_in": ""}, "invalid_request"),
    ):  # fmt: skip
        assert error(await client.form(TOKEN, **fields)) == (400, name), fields
    assert error(await client.post(TOKEN, CREDENTIALS)) == (415, "invalid_request")
    twice = b"grant_type=client_credentials&grant_type=client_credentials"
    media_type = {"Content-Type": "application/x-www-form-urlencoded"}
    assert error(await client.ask("POST", TOKEN, twice, headers=media_type)) == (400, "invalid_request")
    assert error(await client.ask("POST", TOKEN, b"x" * 70_000, headers=media_type)) == (413, "invalid_request")


async def test_several_targets_become_the_audience(admin: Caller) -> None:
    client = as_client(admin, await admin.issue())
    body = b"grant_type=client_credentials&resource=https%3A%2F%2Fa.example&audience=b&audience=&resource=urn%3Ac&foo=x"
    media_type = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await client.ask("POST", TOKEN, body, headers=media_type)
    assert (await claims(admin, answer.json["access_token"]))["aud"] == ["b", "https://a.example", "urn:c"]


async def test_a_secret_is_exchanged_for_a_narrower_bearer(admin: Caller) -> None:
    issued = await admin.issue(scopes=["a.*"], lifetime="30m")
    answer = await exchanged(admin, issued["secret"], scope="a.b", expires_in="60", requested_token_type=JWT)
    assert (answer.json["expires_in"], answer.json["scope"], answer.json["issued_token_type"]) == (60, "a.b", JWT)
    longer = await exchanged(admin, issued["secret"], expires_in="99999")
    assert longer.json["expires_in"] <= 1800
    assert (await claims(admin, longer.json["access_token"]))["aud"] == ISSUER
    assert longer.json["issued_token_type"] == ACCESS_TOKEN


async def test_a_bearer_is_exchanged_for_ever_narrower_ones(admin: Caller) -> None:
    secret = (await admin.issue(scopes=["a.*", "b.c"]))["secret"]
    text = await bearer(admin, secret, scope="a.* b.c", audience="orders", expires_in="600")
    first = await claims(admin, text)
    less = await exchanged(admin, text, subject_token_type=JWT, scope="a.x")
    second = await claims(admin, less.json["access_token"])
    assert (second["scope"], second["aud"], second["jti"] != first["jti"]) == ("a.x", "orders", True)
    assert second["exp"] <= first["exp"]
    assert second.items() >= {(name, first[name]) for name in ("iss", "sub", "client_id", "token", "generation")}
    assert error(await exchanged(admin, less.json["access_token"], scope="a.y")) == (400, "invalid_scope")
    assert error(await exchanged(admin, text, audience=ISSUER)) == (400, "invalid_target")
    assert error(await exchanged(admin, text, resource="https://mail.example")) == (400, "invalid_target")


async def test_a_bearer_gives_only_scopes_that_its_token_still_has(admin: Caller) -> None:
    issued = await admin.issue(scopes=["a.b", "c.d"])
    text = await bearer(admin, issued["secret"])
    await admin.patch(f"/v1/tokens/{issued['token']['id']}", {"scopes": ["c.*", "e.f"]})
    assert (await exchanged(admin, text)).json["scope"] == "c.d"
    for lost in ("a.b", "c.e", "e.f"):
        assert error(await exchanged(admin, text, scope=lost)) == (400, "invalid_scope")


async def test_an_actor_is_named_in_the_bearer_its_event_and_the_introspection(admin: Caller) -> None:
    subject = await admin.issue(scopes=["a.b"], owner={"type": "application", "id": "ada"})
    actor = await admin.issue(owner={"type": "service", "id": "mailer"}, lifetime="10m")
    text = await bearer(admin, subject["secret"], actor_token=actor["secret"], actor_token_type=ACCESS_TOKEN)
    decoded, act = await claims(admin, text), {"sub": "mailer", "client_id": actor["token"]["id"], "generation": 1}
    assert (decoded["act"], decoded["sub"], decoded["client_id"]) == (act, "ada", subject["token"]["id"])
    assert decoded["exp"] - decoded["iat"] <= 600
    assert (await introspected(admin, text))["act"] == act
    event = (await admin.get(f"/v1/tokens/{subject['token']['id']}/events", sort="-version")).json["items"][0]
    named = {"kind": "token", "id": actor["token"]["id"], "number": actor["token"]["number"], "name": "a token"}
    assert (event["type"], event["by"]) == ("exchanged", named)
    assert (event["data"]["actors"], event["data"]["jti"]) == ([actor["token"]["id"]], decoded["jti"])
    next_ = await admin.issue(owner={"type": "service", "id": "printer"})
    its_bearer = await bearer(admin, next_["secret"], expires_in="60")
    nested = await bearer(admin, text, actor_token=its_bearer, actor_token_type=JWT)
    decoded = await claims(admin, nested)
    assert decoded["act"] == {"sub": "printer", "client_id": next_["token"]["id"], "generation": 1, "act": act}
    assert decoded["exp"] - decoded["iat"] <= 60
    kept = await claims(admin, await bearer(admin, nested))
    assert kept["act"] == decoded["act"]


@pytest.mark.parametrize("who", ["subject", "actor"])
async def test_a_bearer_ends_with_its_actor(admin: Caller, who: str) -> None:
    parties = {"subject": await admin.issue(scopes=["a.b"]), "actor": await admin.issue()}
    acting = {"actor_token": parties["actor"]["secret"], "actor_token_type": ACCESS_TOKEN}
    text = await bearer(admin, parties["subject"]["secret"], **acting)
    assert (await introspected(admin, text))["active"]
    await admin.post(f"/v1/tokens/{parties[who]['token']['id']}/rotate", {"grace": "0s"})
    assert await introspected(admin, text) == {"active": False}
    assert error(await exchanged(admin, text)) == (400, "invalid_request")


async def test_an_error_in_either_token_is_an_invalid_request(admin: Caller, stranger: Caller) -> None:
    good, theirs = (await admin.issue())["secret"], (await stranger.issue())["secret"]
    dead = await admin.issue()
    gone = await bearer(admin, dead["secret"])
    await admin.post(f"/v1/tokens/{dead['token']['id']}/revoke", {"reason": "x"})
    elsewhere = await bearer(admin, good, audience="orders")
    delegated = await bearer(admin, good, actor_token=good, actor_token_type=ACCESS_TOKEN)
    for bad in (dead["secret"], gone, good[:-1] + "!", "x", "a.b.c", "é", ""):
        assert error(await exchanged(admin, bad)) == (400, "invalid_request"), bad
    for bad in (dead["secret"], gone, theirs, elsewhere, delegated, "x"):
        acting = {"actor_token": bad, "actor_token_type": ACCESS_TOKEN}
        assert error(await exchanged(admin, good, **acting)) == (400, "invalid_request"), bad
    for fields in (
        {"subject_token_type": ""}, {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        {"subject_token_type": JWT}, {"actor_token": good}, {"actor_token_type": ACCESS_TOKEN},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
    ):  # fmt: skip
        assert error(await exchanged(admin, good, **fields)) == (400, "invalid_request"), fields


async def test_an_exchange_needs_no_client_authentication_but_refuses_a_wrong_one(admin: Caller) -> None:
    issued, client = await admin.issue(), await admin.issue()
    fields = {"grant_type": EXCHANGE, "subject_token": issued["secret"], "subject_token_type": ACCESS_TOKEN}
    assert (await as_client(admin, client).form(TOKEN, **fields)).status == 200
    wrong = Caller(admin.session, basic(client["token"]["id"], issued["secret"]))
    assert error(await wrong.form(TOKEN, **fields)) == (401, "invalid_client")


async def test_a_bearer_has_at_most_eight_actors(admin: Caller) -> None:
    text = (await admin.issue())["secret"]
    acting = {"actor_token": (await admin.issue())["secret"], "actor_token_type": ACCESS_TOKEN}
    for _ in range(8):
        text = await bearer(admin, text, **acting)
    assert error(await exchanged(admin, text, **acting)) == (400, "invalid_request")


async def test_a_revoked_token_is_never_exchanged_under_concurrency(admin: Caller) -> None:
    issued, actor = await admin.issue(scopes=["a.b"]), await admin.issue()
    acting = {"actor_token": actor["secret"], "actor_token_type": ACCESS_TOKEN}
    text = await bearer(admin, issued["secret"])
    over = asyncio.Event()

    async def ask(subject: str) -> bool:
        begun_after = over.is_set()
        answer = await exchanged(admin, subject, **acting)
        return not begun_after or answer.status == 400

    async def revoke() -> bool:
        answer = await admin.post(f"/v1/tokens/{actor['token']['id']}/revoke", {"reason": "x"})
        over.set()
        return answer.status == 200

    requests = [ask(subject) for _ in range(10) for subject in (text, issued["secret"])]
    assert all(await asyncio.gather(*requests, revoke(), *(ask(text) for _ in range(10))))
    assert error(await exchanged(admin, text, **acting)) == (400, "invalid_request")


async def test_the_native_exchange_accepts_a_shorter_lifetime(admin: Caller) -> None:
    holder = await admin.holder()
    assert (await holder.post("/v1/exchange", {"lifetime": "5m"})).json["expires_in"] == 300
    assert (await holder.post("/v1/exchange", {"lifetime": "9h"})).json["expires_in"] == 3600
    assert (await holder.post("/v1/exchange", {"lifetime": "10ms"})).json["expires_in"] == 1
    for wrong in ("0s", "forever", "soon", ""):
        assert (await holder.post("/v1/exchange", {"lifetime": wrong})).problem == "bad-duration"
