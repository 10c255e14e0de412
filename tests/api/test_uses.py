"""An accepted secret or bearer counts as used wherever it is presented, even if the request is refused."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from api.oauth import ACCESS_TOKEN, EXCHANGE, TOKEN, anybody, as_client
from api.proxy import Asked, bearer
from api.service import Answer, Caller, basic

Ask = Callable[[Caller, Any], Awaitable[Answer]]
"""Presents the secret of an issued token to the service."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def used(admin: Caller, issued: Any) -> str | None:
    """Return the last use of a token, after the buffered uses have been written."""
    await written(admin)
    return await last_use(admin, issued)


async def written(admin: Caller) -> None:
    """Return once the buffered uses have been written: when that of a new token has."""
    marker = await admin.issue()
    await admin.with_token(marker["secret"]).get("/v1/tokens/self")
    async with asyncio.timeout(20):
        while not (await admin.get(f"/v1/tokens/{marker['token']['id']}")).json["last_used_at"]:  # noqa: ASYNC110 - it is written once a second
            await asyncio.sleep(0.05)


async def last_use(admin: Caller, issued: Any) -> str | None:
    moment: str | None = (await admin.get(f"/v1/tokens/{issued['token']['id']}")).json["last_used_at"]
    return moment


def as_bearer(method: str, path: str, body: bytes = b"{}", **headers: str) -> Ask:
    def ask(admin: Caller, issued: Any) -> Awaitable[Answer]:
        return admin.with_token(issued["secret"]).ask(method, path, body, headers=headers)

    return ask


def client(**fields: str) -> Ask:
    return lambda admin, issued: as_client(admin, issued).form(TOKEN, **fields)


def subject(**fields: str) -> Ask:
    def ask(admin: Caller, issued: Any) -> Awaitable[Answer]:
        requested = {"grant_type": EXCHANGE, "subject_token": issued["secret"], "subject_token_type": ACCESS_TOKEN}
        return anybody(admin).form(TOKEN, **(requested | fields))

    return ask


REFUSED: dict[str, Ask] = {
    "a body that is no JSON": as_bearer("POST", "/v1/tokens", b"{"),
    "a body of another shape": as_bearer("POST", "/v1/tokens", b'{"nme": "x"}'),
    "a body of another media type": as_bearer("POST", "/v1/tokens", Content_Type="text/plain"),
    "a body that is too large": as_bearer("POST", "/v1/tokens", b" " * 600_000),
    "a query that is not known": as_bearer("GET", "/v1/tokens?color=red", b""),
    "an If-Match without quotes": as_bearer("PATCH", "/v1/tokens/self", If_Match="1"),
    "a key of no form": as_bearer("POST", "/v1/tokens", b'{"name": "x"}', Idempotency_Key="é"),
    "a scope that it lacks": as_bearer("GET", "/v1/users", b""),
    "introspection without a token": as_bearer("POST", "/v1/introspect", b"", **FORM),
    "introspection of JSON": as_bearer("POST", "/v1/introspect", b"{}"),
    "revocation without a token": as_bearer("POST", "/v1/oauth/revoke", b"", **FORM),
    "a rotation without a grace": as_bearer("POST", "/v1/tokens/self/rotate", b"{}"),
    "an account change of another shape": as_bearer("PATCH", "/v1/account", b'{"x": 1}'),
    "an exchange of another shape": as_bearer("POST", "/v1/exchange", b'{"x": 1}'),
    "an exchange for no time": as_bearer("POST", "/v1/exchange", b'{"lifetime": "0s"}'),
    "an exchange beyond its scopes": as_bearer("POST", "/v1/exchange", b'{"scopes": ["other.scope"]}'),
    "an exchange for a malformed scope": as_bearer("POST", "/v1/exchange", b'{"scopes": ["a b"]}'),
    "a client's grant beyond its scopes": client(grant_type="client_credentials", scope="other.scope"),
    "a client's grant of another kind": client(grant_type="password"),
    "a client's grant for no scope": client(grant_type="client_credentials", scope=""),
    "a client's grant for a target that is none": client(grant_type="client_credentials", resource="orders"),
    "a client's grant for no time": client(grant_type="client_credentials", expires_in="0"),
    "a client's exchange of nothing": client(grant_type=EXCHANGE),
    "a token exchange beyond the scopes": subject(scope="other.scope"),
    "a token exchange for no scope": subject(scope=""),
    "a token exchange with an actor that is none": subject(actor_token="x", actor_token_type=ACCESS_TOKEN),
}


async def test_accepted_credentials_count_as_used_although_the_request_is_refused(admin: Caller) -> None:
    presented = {}
    for how, ask in REFUSED.items():
        presented[how] = await admin.issue(scopes=["invoices.read", "tokens.introspect"], lifetime="1h")
        answer = await ask(admin, presented[how])
        assert answer.status in (400, 403, 413, 415, 422), (how, answer.body)
    await written(admin)  # once a second
    assert [how for how, issued in presented.items() if await last_use(admin, issued) is None] == []


async def test_a_bearer_whose_request_is_refused_uses_its_token(admin: Caller) -> None:
    issued = await admin.issue(scopes=["invoices.read"], lifetime="1h")
    text = (await admin.with_token(issued["secret"]).post("/v1/exchange", {"audience": "orders"})).json["access_token"]
    exchanged_at = await used(admin, issued)
    assert (await admin.with_token(text).get("/v1/tokens/self")).status == 401  # it has another audience
    later = await used(admin, issued)
    assert later is not None
    assert later > str(exchanged_at)


STOPPED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a scope that it lacks": ("scope-missing", {}, "mail.send"),
    "another network": ("token-network-forbidden", {"networks": ["203.0.113.0/24"]}, "invoices.read"),
    "a demand that cannot be read": ("proxy-misconfigured", {}, "no scope at all!"),
}


async def test_a_token_denied_to_a_proxy_counts_as_used(proxy: Asked, admin: Caller) -> None:
    presented = {}
    for why, (problem, fields, scope) in STOPPED.items():
        presented[why] = await admin.issue(scopes=["invoices.read"], **fields)
        answer = await proxy.about(bearer(presented[why]["secret"]), scope=scope)
        assert (answer.status, answer.problem) == (403, problem), why
    await written(admin)
    assert [why for why, issued in presented.items() if await last_use(admin, issued) is None] == []


async def test_a_token_accepted_for_a_proxy_counts_as_used(proxy: Asked, admin: Caller) -> None:
    issued = await admin.issue(scopes=["invoices.read"])
    assert (await proxy.about(bearer(issued["secret"]))).status == 200
    assert await used(admin, issued) is not None


async def test_a_token_over_its_own_rate_limit_counts_as_used(proxy: Asked, admin: Caller) -> None:
    issued = await admin.issue(scopes=["invoices.read"], rate_limit="1/1h")
    holder = admin.with_token(issued["secret"])
    assert (await holder.get("/v1/tokens/self")).status == 200
    first = await used(admin, issued)
    assert (await holder.get("/v1/tokens/self")).status == 429
    second = await used(admin, issued)
    assert str(second) > str(first)
    assert (await proxy.about(bearer(issued["secret"]))).status == 403
    assert str(await used(admin, issued)) > str(second)


async def test_a_secret_presented_for_revocation_counts_as_used(admin: Caller) -> None:
    issued = await admin.issue()
    assert (await admin.form("/v1/oauth/revoke", token=issued["secret"])).status == 200
    assert await used(admin, issued) is not None


async def test_refused_credentials_do_not_count_as_used(admin: Caller, stranger: Caller, proxy: Asked) -> None:
    issued, other = await admin.issue(scopes=["invoices.read"]), await admin.issue()
    wrong = Caller(admin.session, basic(other["token"]["id"], issued["secret"]))
    assert (await wrong.post("/v1/tokens", {"nme": "x"})).status == 401  # before the body is checked
    assert (await stranger.form("/v1/introspect", token=issued["secret"])).json == {"active": False}
    assert (await stranger.form("/v1/oauth/revoke", token=issued["secret"])).status == 200
    elsewhere = Asked(proxy.session, (await stranger.get("/v1/account")).json["id"])
    assert (await elsewhere.about(bearer(issued["secret"]))).status == 401
    assert await used(admin, issued) is None


async def test_a_leak_report_is_no_use(admin: Caller) -> None:
    issued = await admin.issue()
    assert (await anybody(admin).post("/v1/leak-reports", [issued["secret"]])).status == 202
    assert await used(admin, issued) is None
