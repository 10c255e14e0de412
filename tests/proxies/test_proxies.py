"""nginx, Traefik and Envoy, with the configurations that we ship: who passes, who does not, and what arrives."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse

from api.service import Caller, basic
from proxies.conftest import Front
from proxies.running import AUDIENCE, HOST, SCOPE

MEGABYTE = bytes(range(256)) * 4096


async def issued(admin: Caller, *scopes: str, **fields: object) -> Any:
    return await admin.issue(scopes=scopes or (SCOPE,), owner={"type": "service", "id": "billing"}, **fields)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def test_who_may_pass_arrives_with_a_name_and_without_credentials(front: Front, admin: Caller) -> None:
    made = await issued(admin, SCOPE, "mail.*", duration="1h")
    answer = await front.ask("GET", "/a/path?and=query", {**bearer(made["secret"]), "Cookie": "theirs=1"})
    assert (answer.status, answer.headers["X-From"]) == (200, "application")
    arrived = front.application.last
    assert (arrived.method, arrived.target) == ("GET", "/a/path?and=query")
    assert arrived.identity == {
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


async def test_a_token_that_never_ends_says_so_with_nothing(front: Front, admin: Caller) -> None:
    made = await issued(admin)
    sent = {**bearer(made["secret"]), "X-Counterfoil-Expires": "2999-01-01T00:00:00Z"}
    assert (await front.ask("GET", "/", sent)).status == 200
    assert front.application.last.header("x-counterfoil-expires") in ([], [""])


async def test_every_kind_of_credentials_passes_that_fits(front: Front, admin: Caller) -> None:
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


async def test_who_may_not_is_told_how_to_ask(front: Front, admin: Caller, stranger: Caller) -> None:
    expired = await issued(admin, expires_at=(datetime.now(UTC) - timedelta(days=1)).isoformat())
    foreign = await issued(stranger)
    too_little = await issued(admin, "invoices.write")
    before = len(front.application.arrived)
    asked: list[tuple[dict[str, str], int, str]] = [
        ({}, 401, 'Bearer realm="counterfoil"'),
        (bearer("cfl_service_nonsense"), 401, 'Bearer realm="counterfoil", error="invalid_token"'),
        (bearer(expired["secret"]), 401, 'Bearer realm="counterfoil", error="invalid_token"'),
        (bearer(foreign["secret"]), 401, 'Bearer realm="counterfoil", error="invalid_token"'),
        (
            bearer(too_little["secret"]),
            403,
            f'Bearer realm="counterfoil", error="insufficient_scope", scope="{SCOPE}"',
        ),
    ]
    for headers, status, challenge in asked:
        answer = await front.ask("GET", "/", headers)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (status, challenge)
    assert len(front.application.arrived) == before


def claimed(spelling: str) -> dict[str, str]:
    names = ("Account", "Token", "Owner", "Owner-Type", "Scopes", "Expires")
    return {spelling.format(name): "mallory" for name in names}


SPELLINGS = (
    *("X-Counterfoil-{}", "x-counterfoil-{}", "X-COUNTERFOIL-{}"),
    *("X_Counterfoil_{}", "X.Counterfoil.{}", "X-Counterfoil_{}", "X~Counterfoil-{}", "X-Counterfoil!{}"),
)


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_nobody_names_themselves(front: Front, admin: Caller, spelling: str) -> None:
    made = await issued(admin)
    assert (await front.ask("GET", "/", {**claimed(spelling), **bearer(made["secret"])})).status == 200
    told = front.application.last.identity
    assert told["x-counterfoil-token"] == [made["token"]["id"]]
    assert "mallory" not in str(told)
    assert len(told) in (5, 6)  # of a token that never ends nothing is said of its end
    # Without a proxy in between the application would have believed it.
    url = front.application.url
    async with front.session.get(url, headers=claimed(spelling)) as answer:
        assert answer.status == 200
    assert front.application.last.identity["x-counterfoil-token"] == ["mallory"]


async def test_a_revoked_token_is_stopped_at_the_very_next_request(front: Front, admin: Caller) -> None:
    for _ in range(5):
        made = await issued(admin)
        assert (await front.ask("GET", "/", bearer(made["secret"]))).status == 200
        before = len(front.application.arrived)
        await admin.post(f"/v1/tokens/{made['token']['id']}/revoke", {"reason": "for the test"})
        assert (await front.ask("GET", "/", bearer(made["secret"]))).status == 401
        assert len(front.application.arrived) == before


async def test_bodies_reach_the_application_untouched_and_nobody_else(front: Front, admin: Caller) -> None:
    made, poor = await issued(admin), await issued(admin, "nothing.much")

    async def parts() -> Any:
        for start in range(0, len(MEGABYTE), 100_000):
            yield MEGABYTE[start : start + 100_000]

    for body in (MEGABYTE, parts(), b""):
        answer = await front.ask("POST", "/in", bearer(made["secret"]), body=body)
        assert (answer.status, answer.body) == (200, b"" if body == b"" else MEGABYTE)
        # A body that is refused spoils nothing for whoever comes next on the same connections.
        refused = await front.ask("POST", "/in", bearer(poor["secret"]), body=b"x" * 70_000)
        assert refused.status == 403
        assert (await front.ask("PUT", "/in", bearer(made["secret"]), body=b"next")).body == b"next"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "PROPFIND"])
async def test_every_method_is_asked_about(front: Front, admin: Caller, method: str) -> None:
    made = await issued(admin)
    assert (await front.ask(method, "/x", bearer(made["secret"]))).status == 200
    assert front.application.last.method == method
    before = len(front.application.arrived)
    assert (await front.ask(method, "/x")).status == 401
    assert len(front.application.arrived) == before


async def test_a_websocket_passes_like_any_request(front: Front, admin: Caller) -> None:
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


async def test_what_a_client_writes_in_its_address_changes_no_demand(front: Front, admin: Caller) -> None:
    poor, good = await issued(admin, "poor.read"), await issued(admin)
    account = poor["token"]["account"]
    targets = [
        "/?scope=poor.read", f"/?account={account}&scope=poor.read", "/&scope=poor.read",
        "/-/", "/-/?scope=poor.read", "//", "//-/scope/poor.read", "/scope/poor.read/-/", "/..;/", "/%2e%2e/%2e%2e/",
        "/../../scope/poor.read/-/", "/..%2f..%2f..%2fscope%2fpoor.read%2f-%2f", "/%3fscope=poor.read",
        f"/v1/forward?account={account}&scope=poor.read", f"/v1/forward/account/{account}/scope/poor.read/-/",
    ]  # fmt: skip
    before = len(front.application.arrived)
    for target in targets:
        for headers in (bearer(poor["secret"]), {**bearer(poor["secret"]), **elsewhere(target)}):
            assert await raw(front, target, headers) in (400, 403), target
    assert len(front.application.arrived) == before
    passed = [await raw(front, target, bearer(good["secret"])) for target in targets]
    assert passed.count(200) > len(targets) // 2  # what stops the others is not the address


def elsewhere(target: str) -> dict[str, str]:
    """Headers in which some services look for the address that is meant."""
    names = ("X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Envoy-Original-Path")
    return dict.fromkeys(names, target) | {"X-Forwarded-Method": "OPTIONS", "X-HTTP-Method-Override": "HEAD"}


async def raw(front: Front, target: str, headers: dict[str, str]) -> int:
    """The status of a request whose target is sent as it is written here."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.proxy.port, ssl=front.tls, server_hostname=HOST)
    lines = [f"GET {target} HTTP/1.1", f"Host: {HOST}", "Connection: close", *(f"{n}: {v}" for n, v in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    answered = await reader.read()
    writer.close()
    return int(answered.split(b" ", 2)[1])


async def test_the_client_is_who_connected_whatever_it_says(front: Front, admin: Caller) -> None:
    sent = bearer((await issued(admin))["secret"])
    front.api.clients.clear()
    assert (await front.ask("GET", "/", sent)).status == 200
    for header in ("X-Forwarded-For", "X-Real-Ip", "X-Envoy-External-Address", "True-Client-Ip"):
        assert (await front.ask("GET", "/", {**sent, header: "203.0.113.9"})).status == 200
    assert (await front.ask("GET", "/", {**sent, "Forwarded": "for=203.0.113.9"})).status == 200
    assert len(front.api.clients) == 6
    # Envoy names itself where the client is on its own machine.
    assert len(set(front.api.clients)) == 1
    assert "203.0.113.9" not in front.api.clients


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_older_tls_is_refused_by_the_proxy(front: Front) -> None:
    old = ssl.create_default_context()
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        await asyncio.open_connection("127.0.0.1", front.proxy.port, ssl=old, server_hostname=HOST)
