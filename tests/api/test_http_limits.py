"""Endless input and slow clients: each is refused or disconnected, and all others are served."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from api.sample_app import Shelf
from api.slow_clients import PROBLEM, a_server, answer_of, connected, refused


async def still_serves(where: tuple[str, int]) -> None:
    async with connected(where) as (reader, writer):
        writer.write(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer_of(reader))[0] == 200


async def dribble(writer: asyncio.StreamWriter, what: Callable[[int], bytes]) -> None:
    for number in range(2_000):
        if writer.transport.is_closing():
            return
        writer.write(what(number))
        await asyncio.sleep(0.02)


async def late(where: tuple[str, int], start: bytes, what: Callable[[int], bytes]) -> None:
    async with connected(where) as (reader, writer):
        writer.write(start)
        slowly = asyncio.create_task(dribble(writer, what))
        await refused(reader, status=408, problem="request-timeout")
        slowly.cancel()


async def test_slow_headers_time_out(shelf: Shelf) -> None:
    async with a_server(shelf, head_seconds=0.3) as where:
        start = b"GET /page HTTP/1.1\r\nHost: x\r\n"
        await late(where, start, lambda number: b"X-%d: y\r\n" % number)
        await late(where, b"", lambda _: b"\r\n")
        await still_serves(where)


async def test_the_time_limit_of_a_head_applies_to_each_request_of_a_connection(shelf: Shelf) -> None:
    async with a_server(shelf, head_seconds=1) as where, connected(where) as (reader, writer):
        for _ in range(3):
            writer.write(b"GET /page HTTP/1.1\r\n")
            await writer.drain()
            await asyncio.sleep(0.4)
            writer.write(b"Host: x\r\n\r\n")
            assert (await answer_of(reader))[0] == 200
        writer.write(b"GET /page HTTP/1.1\r\n")
        await refused(reader, status=408, problem="request-timeout")


async def test_a_head_that_waits_for_the_server_is_not_timed_out(shelf: Shelf) -> None:
    async with a_server(shelf, head_seconds=0.4) as where, connected(where) as (reader, writer):
        body = b'{"name":"a","caller":"b"}'
        head = b"POST /long HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        await writer.drain()
        writer.write(b"GET /page HT")
        assert (await answer_of(reader))[0] == 200
        writer.write(b"TP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer_of(reader))[0] == 200


async def test_a_slow_body_times_out(shelf: Shelf) -> None:
    async with a_server(shelf, body_seconds=0.3) as where:
        start = b"POST /things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Type: application/json\r\n"
        counted, chunked = b"Content-Length: 1999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"
        await late(where, start + counted, lambda _: b" ")
        await late(where, start + chunked, lambda _: b"1\r\n \r\n")
        await late(where, start + chunked, lambda _: b"0")
        await still_serves(where)


async def test_a_silent_connection_is_closed(shelf: Shelf) -> None:
    async with a_server(shelf, idle_seconds=0.6) as where:
        async with connected(where) as (reader, _):
            assert await asyncio.wait_for(reader.read(), 20) == b""
        async with connected(where) as (reader, writer):
            writer.write(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await answer_of(reader))[0] == 200
            assert await asyncio.wait_for(reader.read(), 20) == b""


async def test_an_unread_answer_is_dropped(shelf: Shelf) -> None:
    async with a_server(shelf, unread_seconds=0.3) as where, connected(where) as (reader, writer):
        writer.write(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in await reader.readline()
        reader._transport.pause_reading()  # type: ignore[attr-defined] # what a caller who stopped reading does
        await asyncio.sleep(1)
        reader._transport.resume_reading()  # type: ignore[attr-defined] # likewise
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(20_000_000), 20)
        await still_serves(where)


async def test_a_slow_operation_is_refused_with_what_is_known_of_its_outcome(shelf: Shelf) -> None:
    async with a_server(shelf, request_seconds=0.2) as where, connected(where) as (reader, writer):
        writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers, body = await answer_of(reader)
        assert (status, json.loads(body)["type"], headers["retry-after"]) == (503, PROBLEM + "overloaded", "1")
        writer.write(b"POST /endless HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        status, _, body = await answer_of(reader)
        assert (status, json.loads(body)["type"]) == (503, PROBLEM + "outcome-unknown")
        assert "Idempotency-Key" in json.loads(body)["detail"]
        assert shelf.finished == ["given up Nothing()"]


async def test_an_operation_may_have_its_own_limits_of_size_and_time(shelf: Shelf) -> None:
    async with a_server(shelf, request_seconds=0.2) as where, connected(where) as (reader, writer):
        for path, size, status in (("/brief", 90, 200), ("/brief", 110, 413), ("/long", 90_000, 200)):
            body = json.dumps({"name": "a" * (size - 30), "caller": "b"}).encode().ljust(size)
            writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode())
            writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert (await answer_of(reader))[0] == status


@pytest.mark.parametrize(
    "lines",
    [
        [b"X-%d: " % number + b"a" * 1_000 + b"\r\n" for number in range(60)],
        [b"X-%d: y\r\n" % number for number in range(150)],
        [b"X: " + b"a" * 9_000 + b"\r\n"],
        [b"X" * 9_000 + b": a\r\n"],
        [b"X: " + b"a" * 1_000_000],
        [b"X-%d: " % number + b"a" * 8_000 + b"\r\n" for number in range(1_000)],
    ],
    ids=["many long lines", "many lines", "a long line", "a long name", "a line without end", "a head without end"],
)  # fmt: skip
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_giant_head_is_refused(shelf: Shelf, lines: list[bytes], *, at_once: bool) -> None:
    async with a_server(shelf) as where, connected(where) as (reader, writer):
        whole = [b"GET /page HTTP/1.1\r\nHost: x\r\n", *lines, b"\r\n"]
        for part in [b"".join(whole)] if at_once else whole:
            writer.write(part)
            await writer.drain()
        await refused(reader, status=431, problem="headers-too-large")
        await still_serves(where)


async def test_a_client_with_many_connections_keeps_no_other_client_out(shelf: Shelf) -> None:
    async with a_server(shelf, connections=10) as where, AsyncExitStack() as stack:
        held = [await stack.enter_async_context(connected(where)) for _ in range(30)]
        for _, writer in held[::2]:
            writer.write(b"GET /page HT")
        await still_serves(where)
        ends = [asyncio.create_task(reader.read()) for reader, _ in held]
        done, kept = await asyncio.wait(ends, timeout=1)
        assert len(kept) <= 10
        assert all(task.result() == b"" for task in done)
        for task in kept:
            task.cancel()


async def test_a_connection_that_is_being_answered_is_never_closed_for_another(shelf: Shelf) -> None:
    async with a_server(shelf, connections=5) as where, AsyncExitStack() as stack:
        busy = [await stack.enter_async_context(connected(where)) for _ in range(5)]
        for _, writer in busy:
            writer.write(b"POST /long HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
            writer.write(b'Content-Length: 26\r\n\r\n{"name":"a","caller":"me"}')
        while len(shelf.finished) < 5:  # noqa: ASYNC110 - the service has no reason to tell us
            await asyncio.sleep(0.01)
        async with connected(where) as (reader, _):
            document = await refused(reader, status=503, problem="overloaded")
            assert "connections" in str(document["detail"])
        assert [(await answer_of(reader))[0] for reader, _ in busy] == [200] * 5
        await still_serves(where)
