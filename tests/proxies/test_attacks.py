"""Attacks of a client on a proxy: another identity, another address, another demand, another protocol."""

import asyncio
import ssl

import pytest

from api.service import Caller
from proxies.asking import bearer, issued
from proxies.conftest import Front
from proxies.running import HOST


def claimed(spelling: str) -> dict[str, str]:
    names = ("Account", "Token", "Owner", "Owner-Type", "Actor", "Scopes", "Expires")
    return {spelling.format(name): "mallory" for name in names}


SPELLINGS = (
    *("X-Counterfoil-{}", "x-counterfoil-{}", "X-COUNTERFOIL-{}"),
    *("X_Counterfoil_{}", "X.Counterfoil.{}", "X-Counterfoil_{}", "X~Counterfoil-{}", "X-Counterfoil!{}"),
)


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_client_cannot_set_its_identity(front: Front, admin: Caller, spelling: str) -> None:
    made = await issued(admin)
    assert (await front.ask("GET", "/", {**claimed(spelling), **bearer(made["secret"])})).status == 200
    told = front.application.last.identity
    assert told["x-counterfoil-token"] == [made["token"]["id"]]
    assert "mallory" not in str(told)
    assert len(told) in (5, 7)  # without actor and expiry: empty or absent
    # Without a proxy the application would have believed the header.
    url = front.application.url
    async with front.session.get(url, headers=claimed(spelling)) as answer:
        assert answer.status == 200
    assert front.application.last.identity["x-counterfoil-token"] == ["mallory"]


@pytest.mark.parametrize("protocol", ["h2c", "H2C", "h2c, websocket", "TLS/1.0", "tunnel"])
async def test_no_other_protocol_opens_a_tunnel_past_the_checks(front: Front, admin: Caller, protocol: str) -> None:
    """Once an application speaks HTTP/2 on a connection, its proxy no longer sees the requests on it."""
    made = await issued(admin)
    upgrade = {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": protocol,
        "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA",
    }
    before = len(front.application.arrived)
    status = await raw(front, "/", {**bearer(made["secret"]), **upgrade}, close=False)
    if status == 200:
        assert front.application.last.header("upgrade") == []
    else:
        assert status in (400, 403, 404)
        assert len(front.application.arrived) == before


async def test_a_clients_url_cannot_change_the_demand(front: Front, admin: Caller) -> None:
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
    assert passed.count(200) > len(targets) // 2  # the others are not refused because of the demand


def elsewhere(target: str) -> dict[str, str]:
    """Headers in which some services look for the requested address."""
    names = ("X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Envoy-Original-Path")
    return dict.fromkeys(names, target) | {"X-Forwarded-Method": "OPTIONS", "X-HTTP-Method-Override": "HEAD"}


async def raw(front: Front, target: str, headers: dict[str, str], *, close: bool = True) -> int:
    """The status of a request whose target and headers are sent exactly as given."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.proxy.port, ssl=front.tls, server_hostname=HOST)
    ending = {"Connection": "close"} if close else {}
    lines = [f"{name}: {value}" for name, value in {"Host": HOST, **ending, **headers}.items()]
    writer.write("\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode())
    answered = await reader.readline()
    writer.close()
    return int(answered.split(b" ", 2)[1])


async def test_the_client_address_is_that_of_the_connection_whatever_it_claims(front: Front, admin: Caller) -> None:
    sent = bearer((await issued(admin))["secret"])
    front.api.clients.clear()
    assert (await front.ask("GET", "/", sent)).status == 200
    for header in ("X-Forwarded-For", "X-Real-Ip", "X-Envoy-External-Address", "True-Client-Ip"):
        assert (await front.ask("GET", "/", {**sent, header: "203.0.113.9"})).status == 200
    assert (await front.ask("GET", "/", {**sent, "Forwarded": "for=203.0.113.9"})).status == 200
    assert len(front.api.clients) == 6
    # Envoy uses its own address if the client is on the same machine.
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
