"""RFC 6749 2.3.1: client authentication at the OAuth endpoints, and their refusals (RFC 6749 5.2)."""

import secrets
from base64 import b64encode
from typing import Any
from urllib.parse import quote_plus

import pytest

from api.oauth import TOKEN, anybody, as_client, error
from api.service import Answer, Caller, basic
from counterfoil.core.secret import mint

INTROSPECT, REVOKE = "/v1/introspect", "/v1/oauth/revoke"
SCOPES = ["tokens.introspect", "tokens.revoke", "a.b"]
ENDPOINTS = {"token": TOKEN, "introspection": INTROSPECT, "revocation": REVOKE}
METHODS = ("client_secret_basic", "client_secret_post", "none", "Bearer")
AWKWARD = ("50%off-", "a%20b-", "x+y/z=-", "50%25off+", "p%2Fq%2Br-")
"""What texts that are form-encoded twice, not at all, or by half are made of."""


def encoded(client: str, secret: str) -> str:
    """Encoded as by standard OAuth clients."""
    return basic(quote_plus(client), quote_plus(secret))


async def imported(admin: Caller, secret: str, scopes: list[str]) -> Any:
    item = {"name": "moved", "owner": {"type": "service", "id": "old"}, "scopes": scopes, "secret": secret}
    (made,) = (await admin.post("/v1/tokens/import", {"tokens": [item]})).json["results"]
    assert made["status"] == "imported", made
    return {"token": {"id": made["token"]}, "secret": secret}


async def call(caller: Caller, endpoint: str, **fields: str) -> Answer:
    needed = {"grant_type": "client_credentials"} if endpoint == "token" else {"token": mint("service").plain}
    return await caller.form(ENDPOINTS[endpoint], **needed, **fields)


# Introspection refuses as in RFC 7662 2.3.


async def test_introspection_refuses_with_oauth_errors(admin: Caller) -> None:
    issued, other = await admin.issue(scopes=SCOPES), await admin.issue()
    client = as_client(admin, issued)
    for credentials in (
        basic(issued["token"]["id"], other["secret"]), basic(other["token"]["id"], issued["secret"]),
        basic(issued["token"]["id"], ""), basic("nobody", "x"), "Bearer x", "Digest x", "",
    ):  # fmt: skip
        answer = await Caller(admin.session, credentials).form(INTROSPECT, token=issued["secret"])
        assert error(answer) == (401, "invalid_client"), credentials
    assert error(await as_client(admin, other).form(INTROSPECT, token="x")) == (403, "insufficient_scope")
    for fields in ({}, {"token": ""}, {"token_type_hint": "access_token"}):
        assert error(await client.form(INTROSPECT, **fields)) == (400, "invalid_request"), fields
    twice = {"Content-Type": "application/x-www-form-urlencoded"}
    assert error(await client.ask("POST", INTROSPECT, b"token=a&token=b", headers=twice)) == (400, "invalid_request")
    assert error(await client.post(INTROSPECT, {"token": "x"})) == (415, "invalid_request")
    good = await client.form(INTROSPECT, token=issued["secret"], token_type_hint="pat", foo="bar")
    assert (good.status, good.json["active"], good.headers["Pragma"]) == (200, True, "no-cache")


async def test_a_revoked_client_is_an_invalid_client_with_the_reason(admin: Caller) -> None:
    issued = await admin.issue(scopes=SCOPES)
    await admin.post(f"/v1/tokens/{issued['token']['id']}/revoke", {"reason": "x"})
    answer = await as_client(admin, issued).form(INTROSPECT, token="x")
    assert error(answer) == (401, "invalid_client")
    assert "revoked" in answer.json["error_description"]


# The metadata describe exactly what is accepted.


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_metadata_openapi_document_and_service_agree_on_authentication(admin: Caller, endpoint: str) -> None:
    issued = await admin.issue(scopes=SCOPES)
    posted = {"client_id": issued["token"]["id"], "client_secret": issued["secret"]}
    accepted = {
        "client_secret_basic": await call(as_client(admin, issued), endpoint),
        "client_secret_post": await call(anybody(admin), endpoint, **posted),
        "none": await _asked_by_nobody(admin, endpoint, issued),
        "Bearer": await call(admin.with_token(issued["secret"]), endpoint),
    }
    behaves = {name for name, answer in accepted.items() if answer.status == 200}
    assert {answer.status for answer in accepted.values()} <= {200, 401}
    assert behaves == await _described(admin, ENDPOINTS[endpoint])
    stated = (await admin.get("/.well-known/oauth-authorization-server")).json
    methods = set(stated[f"{endpoint}_endpoint_auth_methods_supported"])
    # RFC 8414 has a name for authentication by a token only at the introspection endpoint.
    assert methods == (behaves if endpoint == "introspection" else behaves - {"Bearer"})


async def _asked_by_nobody(admin: Caller, endpoint: str, issued: Any) -> Answer:
    if endpoint != "token":
        return await call(anybody(admin), endpoint)
    kind = "urn:ietf:params:oauth:token-type:access_token"
    grant = "urn:ietf:params:oauth:grant-type:token-exchange"
    fields = {"subject_token": issued["secret"], "subject_token_type": kind}
    return await anybody(admin).form(TOKEN, grant_type=grant, **fields)


async def _described(admin: Caller, path: str) -> set[str]:
    document = (await admin.get("/openapi.json")).json
    operation = document["paths"][path]["post"]
    schema = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    fields = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
    names = {"token": "Bearer", "client": "client_secret_basic"}
    found = {names[name] for each in operation["security"] for name in each}
    return (
        found
        | ({"none"} if {} in operation["security"] else set())
        | ({"client_secret_post"} if {"client_id", "client_secret"} <= set(fields) else set())
    )


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_client_uses_one_authentication_method_at_a_time(admin: Caller, endpoint: str) -> None:
    issued, other = await admin.issue(scopes=SCOPES), await admin.issue(scopes=SCOPES)
    client_id, secret = issued["token"]["id"], issued["secret"]
    client = as_client(admin, issued)
    assert error(await call(client, endpoint, client_id=client_id, client_secret=secret)) == (400, "invalid_request")
    assert error(await call(client, endpoint, client_id=other["token"]["id"])) == (400, "invalid_request")
    assert (await call(client, endpoint, client_id=client_id.upper(), client_secret="")).status == 200
    for wrong in (
        {"client_id": client_id, "client_secret": other["secret"]}, {"client_id": client_id},
        {"client_secret": secret}, {"client_id": "x", "client_secret": secret},
    ):  # fmt: skip
        assert error(await call(anybody(admin), endpoint, **wrong)) == (401, "invalid_client"), wrong
    assert (await call(anybody(admin), endpoint, client_id=client_id, client_secret=secret)).status == 200


# Form-encoded ids and secrets.


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("awkward", AWKWARD)
async def test_a_secret_is_accepted_form_encoded_and_as_it_is(admin: Caller, endpoint: str, awkward: str) -> None:
    issued = await imported(admin, awkward + secrets.token_hex(16), SCOPES)
    client_id, secret = issued["token"]["id"], issued["secret"]
    for credentials in (basic(client_id, secret), encoded(client_id, secret), basic(client_id, every_byte(secret))):
        assert (await call(Caller(admin.session, credentials), endpoint)).status == 200, credentials
    assert (await call(Caller(admin.session, basic(every_byte(client_id), secret)), endpoint)).status == 200
    assert (await call(anybody(admin), endpoint, client_id=client_id, client_secret=secret)).status == 200
    twice = quote_plus(quote_plus(secret))
    for wrong in (basic(client_id, twice), basic(client_id, every_byte(secret + "x")), basic("", quote_plus(secret))):
        assert error(await call(Caller(admin.session, wrong), endpoint)) == (401, "invalid_client")
    posted = {"client_id": client_id, "client_secret": quote_plus(secret)}
    assert error(await call(anybody(admin), endpoint, **posted)) == (401, "invalid_client"), "decoded once, not twice"


def every_byte(text: str) -> str:
    """Percent-encode every byte, which RFC 3986 6.2.2.2 calls equivalent."""
    return "".join(f"%{byte:02x}" for byte in text.encode())


async def test_our_own_secrets_are_accepted_form_encoded_too(admin: Caller) -> None:
    issued = await admin.issue(scopes=SCOPES)
    credentials = basic(issued["token"]["id"], every_byte(issued["secret"]))
    for endpoint in ENDPOINTS:
        assert (await call(Caller(admin.session, credentials), endpoint)).status == 200


async def test_no_other_credential_is_decoded(admin: Caller, ours: dict[str, str]) -> None:
    issued = await imported(admin, "x+y/z=" + secrets.token_hex(16), ["a.b"])
    credentials = encoded(issued["token"]["id"], issued["secret"])
    assert (await Caller(admin.session, credentials).get("/v1/tokens/self")).problem == "credentials-refused"
    forward = f"/v1/forward?account={ours['account']}&scope=a.b"
    assert (await Caller(admin.session, credentials).get(forward)).status == 401
    assert (await Caller(admin.session, basic(issued["token"]["id"], issued["secret"])).get(forward)).status == 200
    # Logins are not clients: the password is exactly the text that was sent.
    login = basic(ours["admin_login"], every_byte(ours["admin_password"]))
    assert error(await call(Caller(admin.session, login), "introspection")) == (401, "invalid_client")
    login = basic(ours["admin_login"], ours["admin_password"])
    assert (await call(Caller(admin.session, login), "introspection")).status == 200


async def test_a_text_with_two_readings_opens_only_the_token_that_is_named(admin: Caller) -> None:
    """One token's secret is the form-encoded text of another's: the client's id decides which one is meant."""
    end = secrets.token_hex(16)
    decoded = await imported(admin, f"a+b/{end}", SCOPES)
    raw = await imported(admin, f"a%2Bb%2F{end}", SCOPES)
    for issued in (decoded, raw):
        client = Caller(admin.session, basic(issued["token"]["id"], raw["secret"]))
        bought = await call(client, "token")
        seen = await client.form(INTROSPECT, token=bought.json["access_token"])
        assert seen.json["client_id"] == issued["token"]["id"]
    plain = Caller(admin.session, basic(raw["token"]["id"], decoded["secret"]))
    assert error(await call(plain, "token")) == (401, "invalid_client"), "it is not the raw one's in any reading"
    # Without a client id, the text is the secret as it is.
    nameless = Caller(admin.session, basic("", raw["secret"]))
    assert (await call(nameless, "introspection")).status == 200
    await admin.post(f"/v1/tokens/{raw['token']['id']}/revoke", {"reason": "x"})
    assert error(await call(nameless, "introspection")) == (401, "invalid_client")
    still = Caller(admin.session, basic(decoded["token"]["id"], raw["secret"]))
    assert (await call(still, "introspection")).status == 200


@pytest.mark.parametrize("password", ["%", "%zz", "%ff%fe", "a b", "%00", "%0a", "é", "%C3%A9", "+", ""])
async def test_a_text_that_is_a_secret_in_no_reading_is_refused(admin: Caller, password: str) -> None:
    issued = await admin.issue(scopes=SCOPES)
    for credentials in (basic(issued["token"]["id"], password), basic("%zz" + issued["token"]["id"], issued["secret"])):
        for endpoint in ENDPOINTS:
            answer = await call(Caller(admin.session, credentials), endpoint)
            assert error(answer) == (401, "invalid_client")


async def test_a_colon_in_a_form_encoded_secret_is_part_of_it(admin: Caller) -> None:
    issued = await imported(admin, "a:b:c-" + secrets.token_hex(16), SCOPES)
    pair = f"{issued['token']['id']}:{issued['secret']}".encode()
    for credentials in ("Basic " + b64encode(pair).decode(), encoded(issued["token"]["id"], issued["secret"])):
        assert (await call(Caller(admin.session, credentials), "introspection")).status == 200
