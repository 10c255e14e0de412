"""TLS of the API itself: accepted versions, the shown certificate, and renewal while running."""

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from msgspec.structs import replace
from structlog.testing import capture_logs

from api.certificates import Authority
from api.service import settings_for
from counterfoil.settings import BadSetting, Settings
from counterfoil_api.http.process import in_the_clear
from counterfoil_api.http.request_limits import BOUNDS, Bounds
from counterfoil_api.http.requests import outer_layer
from counterfoil_api.http.security_headers import strict_transport
from counterfoil_api.http.server import Runner
from counterfoil_api.http.tls import Pair, tls
from counterfoil_dev.postgres import Database
from listening import listening


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.at(tmp_path)


def believing(authority: Authority, **bounds: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    context.set_ciphers("ALL:@SECLEVEL=0")  # so that the service and not the client refuses old ciphers
    for name, version in bounds.items():
        setattr(context, name, version)
    return context


@asynccontextmanager
async def served_with(context: ssl.SSLContext, url: str = "https://tokens.example.org") -> AsyncIterator[int]:
    app = web.Application(middlewares=[outer_layer(lambda *_: None)])
    app[BOUNDS] = Bounds(head_seconds=0.5)
    app.on_response_prepare.extend(strict_transport(url))
    async with listening(Runner(app), context) as (_, port):
        yield port


async def spoken(port: int, context: ssl.SSLContext, name: str | None = "localhost") -> tuple[ssl.SSLObject, bytes]:
    """The established connection and the answer on it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    writer.write(b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    secured = writer.get_extra_info("ssl_object")
    assert isinstance(secured, ssl.SSLObject)
    writer.transport.abort()
    return secured, answer


def shown(secured: ssl.SSLObject) -> str:
    """The name in the certificate of the server."""
    certificate = secured.getpeercert() or {}
    return str(dict(part[0] for part in certificate["subject"])["commonName"])  # type: ignore[misc] # loosely typed


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_current_versions_are_accepted_with_forward_secrecy(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    async with served_with(Pair(*authority.pair(tmp_path, "first")).context) as port:
        secured, answer = await spoken(port, believing(authority, minimum_version=version, maximum_version=version))
    assert b"404" in answer
    assert shown(secured) == "first"
    suite = secured.cipher()
    assert suite is not None
    assert suite[0].startswith(("ECDHE-", "TLS_"))
    assert suite[0].endswith(("GCM-SHA384", "GCM-SHA256", "POLY1305", "_SHA384", "_SHA256"))
    assert secured.compression() is None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_outdated_versions_are_refused(authority: Authority, tmp_path: Path) -> None:
    async with served_with(Pair(*authority.pair(tmp_path, "first")).context) as port:
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await spoken(port, believing(authority, minimum_version=version, maximum_version=version))
        weak = believing(authority, maximum_version=ssl.TLSVersion.TLSv1_2)
        weak.set_ciphers("AES128-SHA:AES256-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await spoken(port, weak)
        assert b"404" in (await spoken(port, believing(authority)))[1]


async def test_a_renewed_certificate_is_used_from_the_next_handshake_on(authority: Authority, tmp_path: Path) -> None:
    pair = authority.pair(tmp_path, "first")
    async with served_with(Pair(*pair).context) as port:
        assert shown((await spoken(port, believing(authority)))[0]) == "first"
        for name in ("second", "third"):
            authority.pair(tmp_path, name)
            assert shown((await spoken(port, believing(authority)))[0]) == name
            without_name = believing(authority)
            without_name.check_hostname = False
            assert shown((await spoken(port, without_name, name=""))[0]) == name


async def test_an_incomplete_renewal_changes_nothing(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.pair(tmp_path, "first")
    async with served_with(Pair(certificate, key).context) as port:
        with capture_logs() as lines:
            for broken in (b"", b"-----BEGIN CERTIFICATE-----\n", certificate.read_bytes()[:-40]):
                certificate.write_bytes(broken)
                for _ in range(2):
                    assert shown((await spoken(port, believing(authority)))[0]) == "first"
            key.unlink()
            assert shown((await spoken(port, believing(authority)))[0]) == "first"
        unusable = [line for line in lines if line["event"] == "certificate_unusable"]
        assert len(unusable) == 4  # once for each change, not for each connection
        authority.pair(tmp_path, "second")
        assert shown((await spoken(port, believing(authority)))[0]) == "second"


async def test_plain_http_and_slow_clients_are_disconnected(authority: Authority, tmp_path: Path) -> None:
    async with served_with(Pair(*authority.pair(tmp_path, "first")).context) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in await asyncio.wait_for(reader.read(), 10)
        writer.transport.abort()
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=believing(authority), server_hostname="localhost"
        )
        writer.write(b"GET / HTTP/1.1\r\n")
        assert b"408" in await asyncio.wait_for(reader.read(), 10)
        writer.transport.abort()


async def test_hsts_is_sent_where_clients_use_https(authority: Authority, tmp_path: Path) -> None:
    context = Pair(*authority.pair(tmp_path, "first")).context
    for url, strict in (("https://tokens.example.org", True), ("http://localhost:8080", False)):
        async with served_with(context, url) as port:
            _, answer = await spoken(port, believing(authority))
            assert (b"\r\nStrict-Transport-Security: max-age=31536000\r\n" in answer) is strict


def settings_with(**more: str) -> Settings:
    return settings_for("postgresql://a@b/c", **more)


def test_unusable_files_are_named_before_the_service_starts(authority: Authority, tmp_path: Path) -> None:
    certificate, key = map(str, authority.pair(tmp_path, "first"))
    assert tls(settings_with()) is None
    assert tls(settings_with(TLS_CERTIFICATE=certificate, TLS_PRIVATE_KEY=key)) is not None
    (tmp_path / "other").mkdir()
    _, other = map(str, authority.pair(tmp_path / "other", "other"))
    for wrong in (str(tmp_path / "absent"), certificate, other):
        with pytest.raises(BadSetting, match="TLS_CERTIFICATE or TLS_PRIVATE_KEY cannot be used"):
            tls(settings_with(TLS_CERTIFICATE=certificate, TLS_PRIVATE_KEY=wrong))


@pytest.mark.parametrize(
    ("host", "url", "warned"),
    [
        ("0.0.0.0", "http://tokens.example", True),
        ("::", "http://10.0.0.1:8080", True),
        ("0.0.0.0", "https://tokens.example", False),
        ("0.0.0.0", "http://localhost:8080", False),
        ("127.0.0.1", "http://tokens.example", False),
        ("::1", "http://[::1]:8080", False),
    ],
)
def test_an_operator_who_would_send_secrets_unencrypted_is_warned(host: str, url: str, *, warned: bool) -> None:
    assert in_the_clear(replace(settings_with(), api_host=host, public_url=url)) is warned


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
def process(
    request: pytest.FixtureRequest, database: Database, authority: Authority, tmp_path: Path, unused_tcp_port: int
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`counterfoil api` with a certificate, as a real process."""
    certificate, key = authority.pair(tmp_path, "first")
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database.app_url,
        "PEPPERS": "1:cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHA=",
        "KEY_ENCRYPTION_KEY": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
        "API_PORT": str(unused_tcp_port),
        "API_PROCESSES": str(request.param),
        "PUBLIC_URL": f"https://localhost:{unused_tcp_port}",
        "TLS_CERTIFICATE": str(certificate),
        "TLS_PRIVATE_KEY": str(key),
        "LOG_FORMAT": "json",
    }
    running = subprocess.Popen(
        [sys.executable, "-c", "from counterfoil.cli import main; main()", "api"],
        env=environment, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    yield running, unused_tcp_port
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert running.stderr is not None
    running.stderr.close()


async def test_the_command_serves_https_and_loads_a_renewed_certificate(
    process: tuple[subprocess.Popen[bytes], int], authority: Authority, tmp_path: Path
) -> None:
    running, port = process
    for _ in range(100):
        try:
            secured, answer = await spoken(port, believing(authority))
            break
        except OSError:
            await asyncio.sleep(0.1)
    assert shown(secured) == "first"
    assert b"\r\nStrict-Transport-Security: max-age=31536000\r\n" in answer
    authority.pair(tmp_path, "second")
    for _ in range(10):  # reaches each process
        assert shown((await spoken(port, believing(authority)))[0]) == "second"
    running.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(running.wait, 20) == 0
