"""Outgoing calls of the service for its users (J41): no internal target, one resolution, bounded size and time."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from api.certificates import Authority
from api.egress import Names, egress
from api.oidc_issuer import OidcIssuer, oidc_issuer
from api.service import settings_for
from counterfoil.settings import BadSetting
from counterfoil.uses import egress as module
from counterfoil.uses.egress import LONGEST_REPLY, Egress, EgressFailed, trusted
from counterfoil_api.main import _checked

METADATA = "169.254.169.254"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.at(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def server(authority: Authority, tmp_path: Path) -> AsyncIterator[OidcIssuer]:
    """A server at `localhost` that records every request."""
    async with oidc_issuer(authority, tmp_path, "localhost") as made:
        yield made


def at(server: OidcIssuer) -> str:
    """The server's host and port."""
    return server.url.removeprefix("https://")


def port(server: OidcIssuer) -> str:
    return server.url.rpartition(":")[2]


async def failure(way: Egress, url: str) -> str:
    """The reason of a failed call."""
    async with way:
        with pytest.raises(EgressFailed) as failed:
            await way.get(url)
    return failed.value.reason


def instead(server: OidcIssuer, body: bytes = b"{}", status: int = 200, **headers: str) -> str:
    """The address at which the server answers this."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    server.replies["/other"] = web.Response(body=body, status=status, headers=named)
    return f"{server.url}/other"


async def test_an_allowed_host_is_called_by_its_own_name(authority: Authority, server: OidcIssuer) -> None:
    server.cache_control = "public, max-age=120"
    async with egress(authority, at(server)) as way:
        found = await way.get(f"{server.url}/keys")
    assert (server.requested, server.hosts, found.max_age) == (["/keys"], [at(server)], 120)
    assert b'"kid": "first"' in found.content


async def test_a_name_is_resolved_once_and_this_address_is_called(authority: Authority, server: OidcIssuer) -> None:
    rebinding = Names({"localhost": [["127.0.0.1"], [METADATA]]})
    async with egress(authority, at(server), names=rebinding) as way:
        await way.get(f"{server.url}/keys")
        assert (rebinding.requested, server.requested) == (["localhost"], ["/keys"])
        with pytest.raises(EgressFailed) as failed:
            await way.get(f"{server.url}/keys")
    assert (failed.value.reason, rebinding.requested, server.requested) == ("destination", ["localhost"] * 2, ["/keys"])


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "10.0.0.1", METADATA, "100.100.100.200", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00::1",
     "fe80::1%eth0", "0.0.0.0", "224.0.0.1"],
)  # fmt: skip
@pytest.mark.parametrize("others", [[], ["93.184.215.14"]])
async def test_a_name_that_resolves_to_an_internal_address_is_not_called(
    authority: Authority, server: OidcIssuer, address: str, others: list[str]
) -> None:
    names = Names({"7f000001.nip.io": [[*others, address]]})
    assert await failure(egress(authority, at(server), names=names), "https://7f000001.nip.io/keys") == "destination"
    assert (names.requested, server.requested) == (["7f000001.nip.io"], [])


@pytest.mark.parametrize(
    "host",
    ["2130706433", "017700000001", "0x7f000001", "127.1", "0177.0.0.1", "[::1%25lo]", "[::ffff:127.0.0.1]",
     "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "127.0.0.1", "[::1]", "user@localhost", "localhost."],
)  # fmt: skip
async def test_no_spelling_of_an_address_reaches_an_internal_target(
    authority: Authority, server: OidcIssuer, host: str
) -> None:
    # The port is allowed only for `localhost`; the default port is 443.
    for where in (host, f"{host}:{port(server)}"):
        assert await failure(egress(authority, at(server)), f"https://{where}/keys") == "destination"
    assert server.requested == []


async def test_internal_targets_need_the_operators_permission(authority: Authority, server: OidcIssuer) -> None:
    # By the system's own resolver: a loopback address, and a port other than 443.
    for url in (f"{server.url}/keys", "https://localhost/keys", server.url.replace("https", "http")):
        assert await failure(egress(authority), url) == "destination"
    assert server.requested == []


async def test_redirects_are_not_followed_and_only_200_is_accepted(authority: Authority, server: OidcIssuer) -> None:
    async with egress(authority, at(server)) as way:
        for where in (f"http://{METADATA}/latest/meta-data/", "/keys", "https://idp.example.org/"):
            for status in (301, 302, 303, 307, 308, 300, 204, 206, 401, 404, 500, 503):
                url = instead(server, b"{}" if status != 204 else b"", status, Location=where)
                with pytest.raises(EgressFailed, match=f"the HTTP status {status}"):
                    await way.get(url)
    assert set(server.requested) == {"/other"}


async def test_proxies_of_the_environment_are_not_used(
    authority: Authority, server: OidcIssuer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[bool] = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(True)
        writer.close()

    listening = await asyncio.start_server(note, "127.0.0.1", 0)
    proxy = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with listening, egress(authority, at(server)) as way:
        await way.get(f"{server.url}/keys")
    assert (seen, server.requested) == ([], ["/keys"])
    assert "Authorization" not in server.headers[0]


async def test_the_certificate_must_be_that_of_the_host(authority: Authority, server: OidcIssuer) -> None:
    other = f"idp.example.org:{port(server)}"
    names = Names({"idp.example.org": [["127.0.0.1"]]})
    assert await failure(egress(authority, other, names=names), f"https://{other}/keys") == "connection"
    # It must also be signed by a known authority.
    assert await failure(egress(None, at(server)), f"{server.url}/keys") == "connection"
    assert server.requested == []


async def test_a_reply_is_read_up_to_a_limit(authority: Authority, server: OidcIssuer) -> None:
    async with egress(authority, at(server)) as way:
        assert len((await way.get(instead(server, b"x" * LONGEST_REPLY))).content) == LONGEST_REPLY
    assert await failure(egress(authority, at(server)), instead(server, b"x" * (LONGEST_REPLY + 1))) == "size"
    assert await failure(egress(authority, at(server)), instead(server, b"x", Content_Encoding="gzip")) == "encoding"


async def test_a_call_is_limited_in_time(
    authority: Authority, server: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
    server.delay_seconds = 60
    assert await failure(egress(authority, at(server)), f"{server.url}/keys") == "time"

    async def never(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(60)
        return []

    way = Egress(settings_for("postgresql://a@b/c"), resolve=never)
    assert await failure(way, "https://idp.example.org/") == "time"


@pytest.mark.parametrize(
    "reply",
    [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000_000, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000_000,
     b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx", b"SSH-2.0-x\r\n", b""],
    ids=["endless headers", "an endless header", "half a body", "another protocol", "nothing"],
)  # fmt: skip
async def test_a_server_without_proper_http_fails(authority: Authority, tmp_path: Path, reply: bytes) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.pair(tmp_path, "localhost"))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    where = f"localhost:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        assert await failure(egress(authority, where), f"https://{where}/") == "connection"


async def test_replies_of_a_server_appear_in_no_error_message(authority: Authority, server: OidcIssuer) -> None:
    url = instead(server, b"the body", 500, X_Secret="the header")
    async with egress(authority, at(server)) as way:
        with pytest.raises(EgressFailed) as failed:
            await way.get(url)
    assert str(failed.value) == "The server answered with the HTTP status 500."


def test_an_unusable_file_of_authorities_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    for name in ("absent.pem", "empty.pem"):
        settings = settings_for("postgresql://a@b/c", EGRESS_CA_FILE=str(tmp_path / name))
        with pytest.raises(BadSetting, match="EGRESS_CA_FILE cannot be used"):
            trusted(settings)
        with pytest.raises(SystemExit, match="EGRESS_CA_FILE cannot be used"):
            _checked(settings)


async def test_a_deleted_file_of_authorities_makes_every_server_untrusted(
    authority: Authority, server: OidcIssuer, tmp_path: Path
) -> None:
    gone = settings_for("postgresql://a@b/c", EGRESS_ALLOWED=at(server), EGRESS_CA_FILE=str(tmp_path / "gone.pem"))
    assert await failure(Egress(gone), f"{server.url}/keys") == "connection"
    assert (server.requested, authority.file.exists()) == ([], True)
