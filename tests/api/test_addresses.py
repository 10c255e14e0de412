"""The address of a client: read from forwarding headers as far as the peers are trusted proxies."""

import ipaddress
import string
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector, web
from hypothesis import assume, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from api.service import served
from counterfoil_api.http.addresses import CLIENT, Address, Proxies, _hop, address_of, client_of
from counterfoil_api.http.requests import outer_layer
from counterfoil_api.http.server import Runner

PEER = ipaddress.ip_address("10.0.0.1")
OURS = Proxies(["10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ([], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        (["192.0.2.7", "10.0.0.2"], "192.0.2.7"),
        (["203.0.113.9, 192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        (["203.0.113.9", "192.0.2.7,10.0.0.2"], "192.0.2.7"),
        (["2001:db8::7, fd00::2"], "2001:db8::7"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7:4711"], "192.0.2.7"),
        (["[2001:db8::7]:4711"], "2001:db8::7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (["192.0.2.7, unknown"], "10.0.0.1"),
        (["192.0.2.7, unknown, 10.0.0.2"], "10.0.0.2"),
        (["192.0.2.7,, 10.0.0.2"], "10.0.0.2"),
        (["[2001:db8::7]x"], "10.0.0.1"),
        (["192.0.2.7/24"], "10.0.0.1"),
        (["fe80::7%eth0"], "fe80::7"),
        ([", ".join(["192.0.2.7", *["10.0.0.2"] * 31])], "192.0.2.7"),
        ([", ".join(["192.0.2.7", *["10.0.0.2"] * 32])], "10.0.0.2"),
    ],
)
def test_the_chain_is_read_from_the_right_past_trusted_proxies(forwarded: list[str], client: str) -> None:
    assert str(OURS.client(PEER, forwarded)) == client


def test_no_proxy_is_trusted_by_default() -> None:
    assert Proxies().client(PEER, ["192.0.2.7"]) == PEER
    assert Proxies().client(None, ["192.0.2.7"]) is None
    assert OURS.client(None, ["192.0.2.7"]) is None
    assert Proxies(["unix"]).client(None, ["192.0.2.7"]) == ipaddress.ip_address("192.0.2.7")
    assert OURS.client(ipaddress.ip_address("192.0.2.1"), ["10.0.0.5"]) == ipaddress.ip_address("192.0.2.1")


@given(st.lists(st.text(string.hexdigits + ".:,[]% \tunkow", max_size=60), max_size=5))
def test_the_client_address_is_one_of_the_chain_or_the_peer(forwarded: list[str]) -> None:
    named = {_hop(part.strip(" \t")) for part in ",".join(forwarded).split(",")}
    assert OURS.client(PEER, forwarded) in {PEER, *named} - {None}


@given(st.ip_addresses(), st.lists(st.ip_addresses().map(str), max_size=4), st.text(string.printable, max_size=30))
def test_entries_left_of_an_untrusted_address_change_nothing(client: Address, left: list[str], noise: str) -> None:
    believed = address_of(str(client))
    assume(not any(believed in ipaddress.ip_network(each) for each in ("10.0.0.0/8", "fd00::/8")))
    assert OURS.client(PEER, [noise, *left, str(client), "10.9.9.9"]) == believed


async def seen(request: web.Request) -> web.Response:
    assert request[CLIENT] == client_of(request)
    return web.Response(text=str(client_of(request)))


def application(*trusted: str) -> web.Application:
    app = web.Application(middlewares=[outer_layer(lambda *_: None, Proxies(trusted).client_of)])
    app.router.add_get("/", seen)
    return app


async def client_seen(session: ClientSession, *forwarded: str) -> str:
    async with session.get("/", headers=[("X-Forwarded-For", each) for each in forwarded]) as answer:
        return await answer.text()


async def test_an_untrusted_proxy_is_reported_once() -> None:
    async with served(application("10.0.0.0/8")) as url, ClientSession(url) as session:
        with capture_logs() as logged:
            for _ in range(3):
                await client_seen(session)
                await client_seen(session, "192.0.2.7")
    (warned,) = [line for line in logged if line["event"] == "forwarded_not_believed"]
    assert (warned["log_level"], warned["peer"]) == ("warning", "127.0.0.0/24")
    assert "192.0.2.7" not in str(logged)


async def test_all_handlers_see_the_same_client_address() -> None:
    async with served(application()) as url, ClientSession(url) as session:
        assert await client_seen(session, "192.0.2.7") == "127.0.0.1"
    async with served(application("127.0.0.0/8")) as url, ClientSession(url) as session:
        assert await client_seen(session) == "127.0.0.1"
        assert await client_seen(session, "203.0.113.9, 192.0.2.7") == "192.0.2.7"
        assert await client_seen(session, "203.0.113.9", "192.0.2.7") == "192.0.2.7"


@pytest.mark.parametrize(("trusted", "client"), [((), "None"), (("127.0.0.0/8",), "None"), (("unix",), "192.0.2.7")])
async def test_a_peer_on_a_unix_socket_is_trusted(place: Path, trusted: tuple[str, ...], client: str) -> None:
    runner = Runner(application(*trusted))
    await runner.setup()
    await web.UnixSite(runner, str(place / "s")).start()
    async with ClientSession("http://socket", connector=UnixConnector(str(place / "s"))) as session:
        assert await client_seen(session, "192.0.2.7") == client
        assert await client_seen(session) == "None"
    await runner.cleanup()
