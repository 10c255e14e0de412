"""nginx, Traefik and Envoy with the shipped configurations: which requests pass, and how they arrive."""

from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse

from api.service import Caller, basic
from proxies.asking import bearer, issued
from proxies.conftest import Front
from proxies.running import AUDIENCE, HOST, SCOPE

MEGABYTE = bytes(range(256)) * 4096


async def test_an_accepted_request_arrives_with_an_identity_and_without_credentials(
    front: Front, admin: Caller
) -> None:
    made = await issued(admin, SCOPE, "mail.*", lifetime="1h")
    answer = await front.ask("GET", "/a/path?and=query", {**bearer(made["secret"]), "Cookie": "theirs=1"})
    assert (answer.status, answer.headers["X-From"]) == (200, "application")
    arrived = front.application.last
    assert (arrived.method, arrived.target) == ("GET", "/a/path?and=query")
    assert {name: told for name, told in arrived.identity.items() if told != [""]} == {
        "x-counterfoil-account": [made["token"]["account"]],
        "x-counterfoil-expires": [made["token"]["expires_at"].partition(".")[0].removesuffix("Z") + "Z"],
        "x-counterfoil-owner": ["billing"],
        "x-counterfoil-owner-type": ["service"],
        "x-counterfoil-scopes": [f"{SCOPE} mail.*"],
        "x-counterfoil-token": [made["token"]["id"]],
    }
    assert arrived.header("cookie") == ["theirs=1"]
    assert made["secret"] not in str(arrived.headers)
    assert arrived.header("authorization") == []


async def test_a_token_without_an_expiry_has_no_expiry_header(front: Front, admin: Caller) -> None:
    made = await issued(admin)
    sent = {**bearer(made["secret"]), "X-Counterfoil-Expires": "2999-01-01T00:00:00Z"}
    assert (await front.ask("GET", "/", sent)).status == 200
    assert front.application.last.header("x-counterfoil-expires") in ([], [""])


async def test_nginx_and_envoy_tell_the_client_when_its_token_ends(front: Front, admin: Caller) -> None:
    made = await issued(admin, lifetime="90d")
    rotated = (await admin.post(f"/v1/tokens/{made['token']['id']}/rotate", {"grace": "1h"})).json  # the end is near
    for secret, end, has_sunset in (
        (rotated["secret"], rotated["token"]["expires_at"], False),
        (made["secret"], rotated["token"]["previous_secret_until"], True),
    ):
        answer = await front.ask("GET", "/", bearer(secret))
        stated = end.partition(".")[0].removesuffix("Z") + "Z"
        assert answer.status == 200
        hands_on = front.proxy.name != "traefik"
        assert answer.headers.getall("Token-Expires-At", []) == [stated] * hands_on
        assert len(answer.headers.getall("Token-Sunset", [])) == (has_sunset and hands_on)
        assert front.application.last.header("token-expires-at") == []
    too_little = await issued(admin, "invoices.write", lifetime="90d")
    refused = await front.ask("GET", "/", bearer(too_little["secret"]))
    assert (refused.status, len(refused.headers.getall("Token-Expires-At"))) == (403, 1)
    endless = await front.ask("GET", "/", bearer((await issued(admin))["secret"]))
    assert (endless.status, "Token-Expires-At" in endless.headers) == (200, False)


async def test_every_matching_kind_of_credentials_passes(front: Front, admin: Caller) -> None:
    made = await issued(admin)
    secret, client = made["secret"], made["token"]["id"]
    exchanged = await admin.with_token(secret).post("/v1/exchange", {"audience": [AUDIENCE, "https://b.example"]})
    fits = [
        {"Authorization": basic("", secret)},
        {"Authorization": f"bearer {exchanged.json['access_token']}"},
        {"X-Client-Id": client, "X-Client-Secret": secret},
        {"CF-Access-Client-Id": f"{client.replace('-', '')}.access", "CF-Access-Client-Secret": secret},
    ]
    for headers in fits:
        assert (await front.ask("GET", "/", headers)).status == 200, headers.keys()
        assert front.application.last.header("x-counterfoil-token") == [client]
        assert not [value for _, value in front.application.last.headers if secret in value]
        assert not front.application.last.header("x-client-id") + front.application.last.header("cf-access-client-id")
    other = await issued(admin)
    for_us = (await admin.with_token(secret).post("/v1/exchange", {})).json["access_token"]
    does_not = [
        {"Authorization": f"Bearer {for_us}"},
        {"X-Client-Id": other["token"]["id"], "X-Client-Secret": secret},
        {"X-Client-Id": client, "X-Client-Secret": secret, "Authorization": f"Bearer {secret}"},
        {"X-Client-Secret": secret},
    ]
    for headers in does_not:
        before = len(front.application.arrived)
        assert (await front.ask("GET", "/", headers)).status == 401, headers.keys()
        assert len(front.application.arrived) == before


async def test_a_refused_request_gets_challenges(front: Front, admin: Caller, stranger: Caller) -> None:
    expired = await issued(admin, lifetime="1us")
    foreign = await issued(stranger)
    too_little = await issued(admin, "invoices.write")
    before = len(front.application.arrived)
    bare, offered = 'Bearer realm="counterfoil"', 'Basic realm="counterfoil", charset="UTF-8"'
    told = await front.ask("GET", "/")
    assert (told.status, told.headers.getall("WWW-Authenticate")) == (401, [bare, offered])
    for secret in ("cfl_service_nonsense", expired["secret"], foreign["secret"]):
        told = await front.ask("GET", "/", bearer(secret))
        assert told.status == 401
        first, *others = told.headers.getall("WWW-Authenticate")
        assert first.startswith(f'{bare}, error="invalid_token"')
        assert others == [offered]
    told = await front.ask("GET", "/", {"Authorization": basic(expired["token"]["id"], expired["secret"])})
    assert (told.status, told.headers.getall("WWW-Authenticate")) == (401, [offered, bare])
    told = await front.ask("GET", "/", bearer(too_little["secret"]))
    assert told.status == 403
    assert len(told.headers.getall("WWW-Authenticate")) == 1
    assert told.headers["WWW-Authenticate"].startswith(f'{bare}, error="insufficient_scope"')
    assert f'scope="{SCOPE}"' in told.headers["WWW-Authenticate"]
    assert len(front.application.arrived) == before


async def test_a_revoked_token_is_stopped_at_the_very_next_request(front: Front, admin: Caller) -> None:
    for _ in range(5):
        made = await issued(admin)
        assert (await front.ask("GET", "/", bearer(made["secret"]))).status == 200
        before = len(front.application.arrived)
        await admin.post(f"/v1/tokens/{made['token']['id']}/revoke", {"reason": "for the test"})
        assert (await front.ask("GET", "/", bearer(made["secret"]))).status == 401
        assert len(front.application.arrived) == before


async def test_bodies_reach_only_the_application_and_unchanged(front: Front, admin: Caller) -> None:
    made, poor = await issued(admin), await issued(admin, "nothing.much")

    async def parts() -> Any:
        for start in range(0, len(MEGABYTE), 100_000):
            yield MEGABYTE[start : start + 100_000]

    for body in (MEGABYTE, parts(), b""):
        answer = await front.ask("POST", "/in", bearer(made["secret"]), body=body)
        assert (answer.status, answer.body) == (200, b"" if body == b"" else MEGABYTE)
        # A body that is refused does not affect the next request on the same connections.
        refused = await front.ask("POST", "/in", bearer(poor["secret"]), body=b"x" * 70_000)
        assert refused.status == 403
        assert (await front.ask("PUT", "/in", bearer(made["secret"]), body=b"next")).body == b"next"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "PROPFIND"])
async def test_every_method_is_checked(front: Front, admin: Caller, method: str) -> None:
    made = await issued(admin)
    assert (await front.ask(method, "/x", bearer(made["secret"]))).status == 200
    assert front.application.last.method == method
    before = len(front.application.arrived)
    assert (await front.ask(method, "/x")).status == 401
    assert len(front.application.arrived) == before


async def test_a_websocket_is_checked_like_any_request(front: Front, admin: Caller) -> None:
    made = await issued(admin)
    assert await said(front, bearer(made["secret"])) == "echo: hello"
    assert front.application.last.header("x-counterfoil-token") == [made["token"]["id"]]
    before = len(front.application.arrived)
    for headers in ({}, bearer((await issued(admin, "nothing.much"))["secret"])):
        with pytest.raises(Exception, match=r"40[13]"):
            await said(front, headers)
    assert len(front.application.arrived) == before
    assert (await front.ask("GET", "/", bearer(made["secret"]))).status == 200


async def said(front: Front, headers: dict[str, str]) -> Any:
    opening = front.session.ws_connect(
        f"wss://127.0.0.1:{front.proxy.port}/live", headers={"Host": HOST, **headers}, ssl=front.tls,
        server_hostname=HOST,
    )  # fmt: skip
    async with opening as socket:
        assert isinstance(socket, ClientWebSocketResponse)
        await socket.send_str("hello")
        return await socket.receive_str()
