"""Streamed replies: complete or visibly broken, and their resources are always released."""

import asyncio
import gzip

import aiohttp
import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from api.sample_app import Shelf
from api.test_openapi import DOCUMENT
from counterfoil_api.http.security_headers import SECURITY_HEADERS

BOUNDED_SECONDS = 10


async def test_a_streamed_reply_has_the_headers_of_every_answer_and_ends(client: ClientSession, shelf: Shelf) -> None:
    async with client.get("/lines?name=a&limit=3") as answer:
        assert await answer.read() == b"a\n" * 3
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert (answer.headers["Log-Head"], answer.headers["Cache-Control"]) == ("7", "no-store")
        assert SECURITY_HEADERS.items() <= dict(answer.headers).items()
        assert answer.headers["X-Request-Id"]
    assert shelf.observed == [("GET", "/lines", 200, None)]
    assert shelf.given_back == 1


async def test_its_headers_arrive_before_its_first_line(client: ClientSession, shelf: Shelf) -> None:
    async with client.get("/lines?name=waits&limit=1") as answer:
        assert await answer.content.readline() == b"waits\n"
        shelf.go_on.set()
        assert await answer.content.read() == b""


async def test_a_head_request_gets_no_lines_and_releases_everything(client: ClientSession, shelf: Shelf) -> None:
    for path in ("/lines?name=bug", "/lines?name=small", "/lines"):
        async with client.head(path) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
            assert answer.headers["Log-Head"] == "7"
        async with client.get("/lines?name=a&limit=1") as answer:  # on the same connection
            assert await answer.read() == b"a\n"
    assert (shelf.lines_sent, shelf.given_back) == (3, 5)


@pytest.mark.parametrize(("name", "event"), [("bug", "request_failed"), ("refused", "reply_broken_off")])
async def test_a_failure_in_the_middle_is_visible_and_logged_once(
    client: ClientSession, shelf: Shelf, name: str, event: str
) -> None:
    with capture_logs() as logs:
        async with client.get(f"/lines?name={name}&limit=2") as answer:
            assert answer.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
    assert [each["event"] for each in logs] == ["request", event]
    assert shelf.given_back == 1


async def test_a_failure_is_visible_over_http_1_0_too(client: ClientSession) -> None:
    """Without chunks, only the reset distinguishes a part from the whole."""
    host, port = client._base_url.host, client._base_url.port  # type: ignore[union-attr] # it has one
    for name, whole in (("a", True), ("bug", False)):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET /lines?name={name}&limit=2 HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        try:
            assert (await reader.read()).endswith(b"a\na\n")
            assert whole
        except ConnectionResetError:
            assert not whole
        writer.close()


async def test_a_reader_that_disconnects_ends_the_reply(client: ClientSession, shelf: Shelf) -> None:
    with capture_logs() as logs:
        answer = await client.get("/lines?name=long&limit=200")
        answer.close()
        await asyncio.wait_for(shelf.gave_back.wait(), BOUNDED_SECONDS)
    assert [each["event"] for each in logs] == ["request"]


async def test_a_reader_that_does_not_read_is_awaited(client: ClientSession, shelf: Shelf) -> None:
    """No more is produced than fits into the buffers of two sockets."""
    async with client.get("/lines?name=long&limit=200", headers={"Accept-Encoding": "identity"}) as answer:
        sent = -1
        while sent != shelf.lines_sent:
            sent = shelf.lines_sent
            await asyncio.sleep(0.2)
        assert len(await answer.read()) == 200 * 40_001
    assert shelf.given_back == 1


async def test_finite_replies_are_compressed(client: ClientSession) -> None:
    for path in ("/lines", "/lines?name=small&limit=100"):
        async with client.get(path, auto_decompress=False) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            text = gzip.decompress(await answer.read())
        assert text == (b"small\n" * 100 if "small" in path else b'{"name":null,"limit":50}')


def test_each_media_type_is_documented() -> None:
    reply = DOCUMENT["paths"]["/lines"]["get"]["responses"]["200"]
    assert set(reply["content"]) == {"application/json", "application/x-ndjson"}
    assert "Log-Head" in reply["headers"]
