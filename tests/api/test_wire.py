"""Bytes on the wire, well-formed or not: every answer can be read by a program."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from api.sample_app import Shelf
from api.service import Caller

PROBLEM = "urn:counterfoil:problem:"


async def raw(address: str, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    status, *lines = head.decode().strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await asyncio.wait_for(reader.readexactly(int(headers.get("content-length", "0"))), 5)
    writer.close()
    await writer.wait_closed()
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize(
    ("path", "status", "problem"),
    [
        ("/things?limit=7&name=%C3%A9", 200, ""),
        ("/things?limit=0", 422, "invalid-request"),
        ("/things?limit=a", 422, "invalid-request"),
        ("/things?limti=7", 422, "invalid-request"),
        ("/things?name=a&name=b", 422, "invalid-request"),
        ("/things?name", 422, "invalid-request"),
        ("/things?name=%ff", 422, "invalid-request"),
        ("/things?access_token=cfl_service_x", 400, "credentials-in-query"),
        ("/page?Token=x", 400, "credentials-in-query"),
        ("/page?x=y", 422, "invalid-request"),
        ("/nowhere", 404, "no-such-path"),
        ("/things/a/b", 404, "no-such-path"),
        ("/form", 405, "method-not-allowed"),
    ],
)
async def test_every_path_and_query_gets_a_readable_answer(address: str, path: str, status: int, problem: str) -> None:
    answered, headers, body = await raw(address, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answered == status
    if problem:
        assert headers["content-type"] == "application/problem+json"
        assert json.loads(body)["type"] == PROBLEM + problem
    if status == 405:
        assert headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("sent", "status", "problem"),
    [
        (b"nonsense\r\n\r\n", 400, "malformed-request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n", 400, "malformed-request"),
        (b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed-request"),
        (b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "malformed-request"),
        (
            b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "malformed-request",
        ),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431, "headers-too-large"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "headers-too-large"),
        (
            b"POST /slow HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 0\r\n\r\n",
            417,
            "expectation-failed",
        ),
        (
            b"POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
            "malformed-request",
        ),
    ],
)
async def test_malformed_requests_get_a_problem_document_too(
    address: str, sent: bytes, status: int, problem: str
) -> None:
    answered, headers, body = await raw(address, sent)
    assert (answered, json.loads(body)["type"]) == (status, PROBLEM + problem)
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"]


async def test_a_disconnected_client_does_not_cancel_its_command(address: str, shelf: Shelf) -> None:
    host, port = address.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    body = b'{"name":"kept"}'
    head = f"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()
    await asyncio.sleep(0.4)
    assert shelf.finished == ["kept"]


async def test_a_client_that_expects_100_continue_may_go_on(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /form HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 7\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    assert b"100" in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"token=a")
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()


async def test_an_incomplete_body_reaches_no_database(address: str, shelf: Shelf) -> None:
    host, port = address.removeprefix("http://").split(":")
    with capture_logs() as lines:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await asyncio.sleep(0.1)
    assert shelf.finished == []
    assert [(line["event"], line["problem"]) for line in lines] == [("request", "malformed-request")]


async def test_a_fixed_path_is_not_read_as_the_name_of_a_token(admin: Caller) -> None:
    for path in ("/v1/tokens/import", "/v1/revocations/plan"):
        refused = await admin.get(path)
        assert (refused.status, refused.problem, refused.headers["Allow"]) == (405, "method-not-allowed", "POST")
    for ref in ("important", "imports", "plan", "import%2F"):
        assert (await admin.get(f"/v1/tokens/{ref}")).problem == "bad-reference"
