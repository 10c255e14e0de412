"""The service as a process under requests meant to exhaust it: it answers, and its memory stays small."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from aiohttp import ClientError, ClientSession

from api.service import Answer, Caller, founded, settings_for
from counterfoil_dev.postgres import Database

DEEP = 30_000
"""As many as a body holds."""
NUMBERS = (
    b"1e999",
    b"-1e999",
    b"9" * 60_000,
    b"1" + b"0" * 4_301,
    b"0." + b"1" * 60_000,
    b"1e-99999",
    b"NaN",
    b"Infinity",
)
STRINGS = (
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"\\u0000"',
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b'"\xc0\xaf"',
    b'"\x00"',
    b'"\\u00"',
)
VALUES = (
    *(b"[" * DEEP, b'{"a":' * (DEEP // 3), b"[" * (DEEP) + b"]" * DEEP, b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    *(b"[{" * 15_000, b"[" + b"1," * 30_000 + b"1]", b'{"a":{},' * 7_000, *NUMBERS, *STRINGS),
    b"{" + b",".join(b'"k%d":"v"' % number for number in range(5_000)) + b"}",
    b"{" + b",".join(b'"k":"v"' for _ in range(5_000)) + b"}",
)
FIELDS = ("name", "description", "scopes", "metadata", "owner", "lifetime", "expires_at", "nobody_knows_me")


class Running(NamedTuple):
    process: int
    admin: Caller

    @property
    def resident(self) -> int:
        """Bytes of memory of the service."""
        status = Path(f"/proc/{self.process}/statm").read_text()
        return int(status.split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest_asyncio.fixture
async def running(database: Database, tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[Running]:
    settings = settings_for(database.app_url)
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database.app_url,
        "PEPPERS": "1:cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHA=",
        "KEY_ENCRYPTION_KEY": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
        "API_PORT": str(unused_tcp_port),
        "LOG_LEVEL": "error",
    }
    credentials = await founded(settings, "hostile", tmp_path)
    process = subprocess.Popen(  # noqa: ASYNC220 - it takes no longer than the test can wait
        [sys.executable, "-c", "from counterfoil.cli import main; main()", "api"],
        env=environment, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with ClientSession(url) as session:
        await ready(session)
        yield Running(process.pid, Caller(session, f"Bearer {credentials['admin_token']}"))
    process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.to_thread(process.communicate, timeout=30)
    assert errors == b""


async def ready(session: ClientSession) -> None:
    for _ in range(150):
        try:
            async with session.get("/readyz"):
                return
        except ClientError:
            await asyncio.sleep(0.1)
    raise AssertionError


async def hostile_bodies(admin: Caller) -> list[tuple[str, bytes, Answer]]:
    """The answers to each value, alone and in each field."""
    reported = []
    for value in VALUES:
        for path, body in (
            *(("/v1/tokens", b'{"name":"n","%s":%s}' % (field.encode(), value)) for field in FIELDS),
            *(("/v1/tokens", value), ("/v1/exchange", value), ("/v1/tokens", b'{"metadata":{"a":%s}}' % value)),
        ):
            reported.append((path, body[:60], await admin.ask("POST", path, body[:65_000])))
    return reported


async def test_no_body_is_too_deep_too_wide_or_too_large_for_an_answer(running: Running) -> None:
    for path, body, answer in await hostile_bodies(running.admin):
        assert answer.status in (400, 422), (path, body, answer.body[:200])
        assert len(answer.body) < 2_000
        assert answer.json["status"] == answer.status
    assert (await running.admin.issue(name="afterwards"))["token"]["name"] == "afterwards"


async def test_a_compressed_body_is_never_decompressed(running: Running) -> None:
    for coding in ("gzip", "deflate", "br", "zstd", "x-gzip", "identity, gzip", "GZIP"):
        answer = await running.admin.ask(
            "POST", "/v1/tokens", b"\x1f\x8b\x08\x00" + bytes(1_000), headers={"Content-Encoding": coding}
        )
        assert (answer.status, answer.problem) == (415, "unsupported-media-type")


async def test_memory_does_not_grow(running: Running) -> None:
    for _ in range(3):  # until all code has run once and the allocator has found its size
        await siege(running.admin)
    before = running.resident
    for _ in range(4):
        await siege(running.admin)
    after = running.resident
    assert after < before * 1.25, (before, after)
    assert (await running.admin.issue(name="afterwards"))["token"]["name"] == "afterwards"


async def siege(admin: Caller) -> None:
    """Many requests at once, each with a different value that would stay in memory if it were kept."""
    url = admin.session._base_url
    assert url is not None
    where = (str(url.host), int(url.port or 0))
    head = b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    streams = (
        b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 4_000_000,
        b"GET /" + b"a" * 4_000_000,
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % number for number in range(100_000)),
        head + b"Content-Length: 4000000\r\n\r\n" + b"[" * 4_000_000,
        head + b"Transfer-Encoding: chunked\r\n\r\n" + (b"10000\r\n" + b"[" * 65_536 + b"\r\n") * 60,
        head + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 4_000_000,
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 5_000,
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + b"y" * 4_000_000,
        os.urandom(1_000_000),
    )
    await asyncio.gather(*(poured(where, stream) for stream in streams for _ in range(4)))
    body = json.dumps({"name": "x" * 60_000}).encode()
    await asyncio.gather(*(admin.ask("POST", "/v1/tokens", body) for _ in range(50)))


async def poured(where: tuple[str, int], stream: bytes) -> None:
    """Send everything, as far as it is accepted, and disconnect without reading more than arrived."""
    _, writer = await asyncio.open_connection(*where)
    try:
        writer.write(stream)
        async with asyncio.timeout(1):
            await writer.drain()
    except (OSError, TimeoutError):
        pass
    writer.transport.abort()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/tokens", b'{"name": "a\\u0000b"}'),
        ("PATCH", "/v1/users/self", b'{"email": "a\\u0000b@x.example"}'),
        ("POST", "/v1/users", b'{"email": "a\\u0000b@x.example", "role": "member"}'),
        ("POST", "/v1/revocations/plan", b'{"filter": {"name": "a\\u0000b"}}'),
        ("POST", "/v1/revocations/plan", b'{"filter": {"scope": "\\\\\\u0000"}}'),
        ("POST", "/v1/revocations/plan", b'{"filter": {"owner_id": "a\\u0000"}}'),
    ],
)
async def test_nul_is_refused_wherever_it_stands(admin: Caller, method: str, path: str, body: bytes) -> None:
    refused = await admin.ask(method, path, body)
    assert (refused.status, refused.problem) == (422, "bad-text")


async def test_an_escaped_backslash_before_u0000_is_ordinary_text(admin: Caller) -> None:
    assert (await admin.ask("POST", "/v1/tokens", b'{"name": "a\\\\u0000b"}')).json["token"]["name"] == "a\\u0000b"
