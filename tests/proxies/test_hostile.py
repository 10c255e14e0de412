"""What a client may try at a proxy: another name, another address, another demand, another protocol."""

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
async def test_nobody_names_themselves(front: Front, admin: Caller, spelling: str) -> None:
    made = await issued(admin)
    assert (await front.ask("GET", "/", {**claimed(spelling), **bearer(made["secret"])})).status == 200
    told = front.application.last.identity
    assert told["x-counterfoil-token"] == [made["token"]["id"]]
    assert "mallory" not in str(told)
    assert len(told) in (5, 7)  # nobody acts for another, and nothing ends: empty, or not said
    # Without a proxy in between the application would have believed it.
    url = front.application.url
    async with front.session.get(url, headers=claimed(spelling)) as answer:
        assert answer.status == 200
    assert front.application.last.identity["x-counterfoil-token"] == ["mallory"]


@pytest.mark.parametrize("protocol", ["h2c", "H2C", "h2c, websocket", "TLS/1.0", "tunnel"])
async def test_no_other_protocol_opens_a_tunnel_that_nobody_asks_about(
    front: Front, admin: Caller, protocol: str
) -> None:
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


async def raw(front: Front, target: str, headers: dict[str, str], *, close: bool = True) -> int:
    """The status of a request whose target and headers are sent as they are written here."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.proxy.port, ssl=front.tls, server_hostname=HOST)
    ending = {"Connection": "close"} if close else {}
    lines = [f"{name}: {value}" for name, value in {"Host": HOST, **ending, **headers}.items()]
    writer.write("\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode())
    answered = await reader.readline()
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
