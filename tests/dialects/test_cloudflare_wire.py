"""Requests and answers of Cloudflare's clients: authentication, errors, and an edge that checks a pair."""

import asyncio

import pytest

from api.service import Caller, basic
from dialects.accounts import Account
from dialects.cloudflare import Access, good, of_account, refused


@pytest.fixture
def access(native: Caller, here: Account) -> Access:
    return of_account(native, here)


def with_headers(access: Access, **headers: str) -> Caller:
    return Caller(access.caller.session, "", {name.replace("_", "-"): value for name, value in headers.items()})


async def test_a_token_is_presented_in_each_of_the_vendors_three_ways(access: Access, here: Account) -> None:
    token, email = here.admin_token, here.admin_email
    bearer = (await access.caller.post("/v1/exchange")).json["access_token"]
    for caller in (
        access.caller,
        access.caller.with_token(bearer),
        with_headers(access, X_Auth_Email=email.upper(), X_Auth_Key=token),
        with_headers(access, X_Auth_User_Service_Key=token),
    ):
        assert good(await caller.get(access.tokens)) is not None


async def test_a_key_is_accepted_only_with_the_address_of_its_own_user(
    access: Access, here: Account, there: Account, native: Caller
) -> None:
    wrong = with_headers(access, X_Auth_Email=here.admin_email, X_Auth_Key="0" * 64)
    refusal = (await wrong.get(access.tokens)).json
    refused(await wrong.get(access.tokens), 401, 10000, "Authentication error")
    service = (await native.issue(scopes=["tokens.*"], owner={"type": "service", "id": "edge"}))["secret"]
    for email, key in (
        (here.member_email, here.admin_token),
        (there.admin_email, here.admin_token),
        (here.admin_email, here.member_token),
        ("nobody@example.org", here.admin_token),
        ("", here.admin_token),
        (here.admin_email, service),
    ):
        answer = await with_headers(access, X_Auth_Email=email, X_Auth_Key=key).get(access.tokens)
        assert (answer.status, answer.json) == (401, refusal)


async def test_a_key_is_accepted_with_another_spelling_of_the_address(access: Access, native: Caller) -> None:
    made = await native.post("/v1/users", {"email": "keys@b\u00fccher.example", "role": "member"})
    owner = {"type": "user", "id": made.json["user"]["id"]}
    key = (await native.issue(scopes=["own.*"], owner=owner))["secret"]
    for email, status in (("KEYS@xn--bcher-kva.example", 200), ("keys@bucher.example", 401)):
        assert (await with_headers(access, X_Auth_Email=email, X_Auth_Key=key).get(access.tokens)).status == status


async def test_invalid_credentials_are_refused(access: Access, here: Account) -> None:
    token, email = here.admin_token, here.admin_email
    for headers, status, code in (
        ({}, 401, 10000),
        ({"X_Auth_Key": token}, 401, 10000),
        ({"X_Auth_Email": email}, 401, 10000),
        ({"Authorization": "Bearer"}, 400, 6003),
        ({"Authorization": f"Token {token}"}, 400, 6003),
        ({"Authorization": basic("", token)}, 400, 6003),
        ({"Authorization": basic(email, here.admin_password)}, 400, 6003),
        ({"Authorization": "Bearer wrong"}, 401, 10000),
        ({"Authorization": f"Bearer {token}", "X_Auth_Email": email, "X_Auth_Key": token}, 400, 6003),
        ({"X_Auth_User_Service_Key": token, "X_Auth_Email": email, "X_Auth_Key": token}, 400, 6003),
        ({"X_Auth_User_Service_Key": "a b"}, 401, 10000),
        ({"X_Auth_User_Service_Key": "eyJhbGciOiJub25lIn0.e30."}, 401, 10000),
    ):
        refused(await with_headers(access, **headers).get(access.tokens), status, code)
    answer = await with_headers(access, Authorization=f"Token {token}").get(access.tokens)
    assert answer.json["errors"][0]["error_chain"] == [
        {"code": 6111, "message": "Invalid format for Authorization header"}
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"{}", "/name"),
        (b'{"name":7}', "/name"),
        (b'{"name":""}', "/name"),
        (b'{"name":"a\\u202eb"}', "/name"),
        (b'{"name":"x","duration":"a year"}', "/duration"),
        (b'{"name":"x","duration":"0s"}', "/duration"),
        (b'{"name":"x","enabled":"yes"}', "/enabled"),
        (b'{"name":"x","client_secret_version":0}', "/client_secret_version"),
        (b'{"name":"x","client_secret_version":1.5}', "/client_secret_version"),
        (b'{"name":"x","client_secret_version":1e300}', "/client_secret_version"),
        (b'{"name":"x","previous_client_secret_expires_at":"2030-01-01T00:00:00"}',
         "/previous_client_secret_expires_at"),
        (b'{"name":"x",}', None),
        (b"\xff", None),
        (b"[]", None),
    ],
)  # fmt: skip
async def test_an_error_in_a_body_is_located(access: Access, body: bytes, pointer: str | None) -> None:
    refused(await access.caller.ask("POST", access.tokens, body), 400, 12130, pointer=pointer)


async def test_every_other_refusal_has_the_same_form(access: Access) -> None:
    token = await access.made()
    refused(await access.caller.get("/cloudflare/client/v4/accounts"), 404, 7003)
    refused(await access.caller.get("/cloudflare"), 404, 7003)
    answer = await access.caller.patch(f"{access.tokens}/{token['id']}", {})
    refused(answer, 405, 7001)
    assert answer.headers["Allow"] == "DELETE, GET, HEAD, PUT"
    refused(await access.caller.ask("POST", access.tokens, b'"' + b"x" * 2**17 + b'"'), 413, 12130)
    refused(await access.caller.get(f"{access.tokens}/not-an-id"), 404, 12130)
    refused(await access.caller.get(f"{access.tokens}?secret=x"), 400, 6003)


async def test_the_body_may_be_empty_and_have_any_media_type(access: Access) -> None:
    token = await access.made()
    for what in ("refresh", "rotate"):
        answer = await access.caller.ask("POST", f"{access.tokens}/{token['id']}/{what}", b"")
        assert good(answer)["id"] == token["id"]
    answer = await access.caller.ask("POST", access.tokens, b'{"name":"plain"}', headers={"Content-Type": "text/plain"})
    assert good(answer)["name"] == "plain"


async def test_an_edge_checks_a_pair_and_that_counts_as_a_use(
    access: Access, native: Caller, native_there: Caller, there: Account
) -> None:
    token = await access.made(duration="1h")
    pair = {"CF-Access-Client-Id": token["client_id"], "CF-Access-Client-Secret": token["client_secret"]}
    edge = Access(await native.holder("tokens.introspect"), access.tokens)
    shown = await access.shown(token)
    for method in ("GET", "POST"):
        verdict = good(await edge.caller.ask(method, f"{edge.tokens}/verify", headers=pair))
        assert verdict == {
            "active": True, "client_id": token["client_id"], "expires_at": shown["expires_at"], "id": token["id"],
        }  # fmt: skip
    await asyncio.sleep(1.5)  # uses are written once a second
    assert (await access.shown(token))["last_seen_at"] is not None
    another = await access.made()
    for client, secret in (
        (another["client_id"], token["client_secret"]),
        (token["client_id"], another["client_secret"]),
        (token["client_id"], "0" * 64),
        ("nobody.access", token["client_secret"]),
        (token["client_id"], "a b"),
    ):
        assert not await edge.accepts({"client_id": client}, secret)
    assert not await of_account(native_there, there).accepts(token, token["client_secret"])
    refused(await edge.caller.get(f"{edge.tokens}/verify"), 400, 12130, "CF-Access-Client-Id")
    stranger = await native.holder("tokens.read")
    refused(await stranger.ask("GET", f"{edge.tokens}/verify", headers=pair), 403, 9109, "tokens.introspect")
    refused(await Caller(native.session, "").ask("GET", f"{edge.tokens}/verify", headers=pair), 401, 10000)


async def test_a_proxy_accepts_the_pair(access: Access, here: Account) -> None:
    token = await access.made()
    scoped = await access.caller.patch(f"/v1/tokens/{token['id']}", {"scopes": ["app.read"]})
    assert scoped.status == 200
    pair = {"CF-Access-Client-Id": token["client_id"], "CF-Access-Client-Secret": token["client_secret"]}
    anybody = Caller(access.caller.session, "")
    answer = await anybody.ask("GET", f"/v1/forward?account={here.account}&scope=app.read", headers=pair)
    assert (answer.status, answer.headers["X-Counterfoil-Token"]) == (200, token["id"])


async def test_the_dialect_has_its_own_openapi_document(access: Access) -> None:
    described = (await access.caller.get("/cloudflare/openapi.json")).json
    tokens = "/access/service_tokens"
    accounts, zones = (f"/cloudflare/client/v4/{each}{tokens}" for each in ("accounts/{account_id}", "zones/{zone_id}"))
    assert {path: sorted(set(methods) - {"parameters"}) for path, methods in described["paths"].items()} == {
        accounts: ["get", "post"],
        f"{accounts}/{{service_token_id}}": ["delete", "get", "put"],
        f"{accounts}/{{service_token_id}}/refresh": ["post"],
        f"{accounts}/{{service_token_id}}/rotate": ["post"],
        f"{accounts}/verify": ["get", "post"],
        zones: ["get", "post"],
        f"{zones}/{{service_token_id}}": ["delete", "get", "put"],
    }
    assert set(described["components"]["securitySchemes"]) == {"api_token", "api_key", "user_service_key"}
