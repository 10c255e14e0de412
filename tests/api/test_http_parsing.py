"""Requests that two parsers could read differently: the service reads them in one way or refuses them."""

import asyncio
import json

import pytest

PROBLEM = "urn:counterfoil:problem:"
SMUGGLED = b"GET /page HTTP/1.1\r\nHost: x\r\nX-Smuggled: yes\r\n\r\n"
POST = b"POST /things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b'{"name":"a"}'


async def everything(address: str, sent: bytes) -> list[tuple[int, bytes]]:
    """Every answer on a connection that sends these bytes, until the service closes it."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    answers = []
    while not await ended(reader):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        answers.append((int(head.split()[1]), await asyncio.wait_for(reader.readexactly(length), 10)))
    writer.transport.abort()
    return answers


async def ended(reader: asyncio.StreamReader) -> bool:
    while not reader._buffer and not reader.at_eof():  # type: ignore[attr-defined] # there is no peek
        await asyncio.wait_for(reader._wait_for_data("ended"), 10)  # type: ignore[attr-defined] # likewise
    return reader.at_eof()


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 12\r\nContent-Length: 0\r\n\r\n" + BODY,
        POST + b"Content-Length: 12\r\nContent-Length: 12\r\n\r\n" + BODY,
        POST + b"Content-Length: 12, 12\r\n\r\n" + BODY,
        POST + b"Content-Length: +12\r\n\r\n" + BODY,
        POST + b"Content-Length: 0x0c\r\n\r\n" + BODY,
        POST + b"Content-Length: 1_2\r\n\r\n" + BODY,
        POST + b"Content-Length: 1 2\r\n\r\n" + BODY,
        POST + b"Content-Length: -0\r\n\r\n" + BODY,
        POST + b"Content-Length: 99999999999999999999999\r\n\r\n" + BODY,
        POST + b"Content-Length : 12\r\n\r\n" + BODY,
        POST + b"Content-Length:\r\n 12\r\n\r\n" + BODY,
        POST + b"Content-Length: 12\r\n\tX: y\r\n\r\n" + BODY,
        POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        POST + b"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"X: a\nContent-Length: 12\n\n" + BODY,
        POST + b"X: a\x00b\r\nContent-Length: 12\r\n\r\n" + BODY,
        POST + b"\r\nContent-Length: 12\r\n\r\n" + BODY,
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"0x5\r\n",
        CHUNKED + b" 0\r\n\r\n",
        CHUNKED + b"fffffffffffffffff\r\n",
        CHUNKED + b"5\r\nabcdeXX0\r\n\r\n",
        CHUNKED + b"0\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        CHUNKED + b"0\nX: y\n\n",
        b"GET /page\r\n",
        b"GET /page HTTP/1.1 \r\nHost: x\r\n\r\n",
        b"GET /page HTTP/0.9\r\nHost: x\r\n\r\n",
        b"GET /page HTTP/3.0\r\nHost: x\r\n\r\n",
        b"GET /page HTTP/1.1\r\n\r\n",
        b"GET /page HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /pa\x00ge HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /pa\tge HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"\x00" * 1_000,
        b"get /page HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_no_request_is_smuggled_past_another_parser(address: str, sent: bytes) -> None:
    answers = await everything(address, sent + SMUGGLED)
    assert len(answers) == 1, answers  # the refusal ends the connection: the rest was not read as a request
    ((status, body),) = answers
    assert status in (400, 422, 431)
    assert json.loads(body)["type"].startswith(PROBLEM)


@pytest.mark.parametrize(
    ("coding", "status"),
    [
        ("Transfer-Encoding: gzip, chunked", 415),
        ("Transfer-Encoding: GZIP ,\tChunked", 415),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: identity, chunked", 415),
        ("Transfer-Encoding: deflate, br, chunked", 415),
        ("Transfer-Encoding: chunked, chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked;x=1", 400),
        ("Transfer-Encoding: gzip;q=1, chunked", 400),
        ("Transfer-Encoding: chunked, gzip", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", 400),
        ("Transfer-Encoding: gzip", 400),
        ("Transfer-Encoding:", 400),
        ("Transfer-Encoding: , chunked", 400),
        ("Transfer-Encoding: chunked,", 400),
        ('Transfer-Encoding: "chunked"', 400),
        ("Transfer-Encoding: gzip, chunked\r\nContent-Length: 12", 400),
        ("Content-Length: 12\r\nTransfer-Encoding: gzip, chunked", 400),
        ("Content-Length: 12\r\nTransfer-Encoding: chunked", 400),
    ],
)
async def test_chunked_is_the_only_transfer_coding(address: str, coding: str, status: int) -> None:
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    ((answered, reported),) = await everything(address, POST + f"{coding}\r\n\r\n".encode() + body + SMUGGLED)
    assert (answered, json.loads(reported)["status"]) == (status, status)


async def test_another_transfer_coding_is_refused_even_where_no_body_is_read(address: str) -> None:
    coded = b"GET /page HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
    answers = await everything(address, SMUGGLED + coded + SMUGGLED)
    assert [status for status, _ in answers] == [200, 415]
    old = b"POST /things HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert [status for status, _ in await everything(address, old + SMUGGLED)] == [400]


async def test_chunked_is_read_in_any_case(address: str) -> None:
    sent = POST + b"Connection: close\r\nTransfer-Encoding: CHUNKED\r\n\r\nc\r\n" + BODY + b"\r\n0\r\n\r\n"
    assert [status for status, _ in await everything(address, sent)] == [201]


async def test_pipelined_requests_are_answered_in_order(address: str) -> None:
    good = POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    chunked = CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    last = SMUGGLED.replace(b"X-Smuggled: yes", b"Connection: close")
    answers = await everything(address, (good + chunked) * 50 + last)
    assert [status for status, _ in answers] == [201] * 100 + [200]


@pytest.mark.parametrize(
    "target",
    [
        *("/page/", "//page", "/./page", "/x/../page", "/%2e%2e/page", "/%2fpage", "/page%2f", "/page%00", "/page%0a"),
        *("/page\\", "/PAGE", "/pag%65%20", "/page;x", "/page;/../things", "/%zz", "/%", "/%c0%af", "/%ff", "/%E9"),
        *("/things/%00", "/things/a%2fb", "/things/" + "%41" * 2_000, "/" + "a/" * 2_000, "http://y/nowhere"),
        *("/things?%00=x", "/things?name=%00", "/things?name=%ed%a0%80", "/things?" + "a=b&" * 99),
        *("/things?&", "/things?=", "/things??", "/things?limit=" + "9" * 5_000),
        *("/things?limit=1e3", "/things?limit=%D9%A3", "/page?x#y"),
    ],
)
async def test_no_spelling_of_a_path_reaches_another_resource(address: str, target: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ((status, body),) = await everything(address, request.encode())
    assert status in (400, 404, 405, 422), body
    assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    ("query", "read"), [("%ud800", "%ud800"), ("%25" * 2_000 + "%", "%" * 2_001), ("a#&name=b", "a"), ("a+%2B", "a +")]
)
async def test_an_unusual_query_is_read_in_one_way(address: str, query: str, read: str) -> None:
    request = f"GET /things?name={query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ((status, body),) = await everything(address, request.encode())
    assert (status, json.loads(body)["name"]) == (200, read)


@pytest.mark.parametrize("method", ["OPTIONS *", "CONNECT x:80", "TRACE /page", "PROPFIND /page", "QUERY /page"])
async def test_other_methods_have_no_effect(address: str, method: str) -> None:
    verb, _, target = method.partition(" ")
    sent = f"{verb} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ((status, body),) = await everything(address, sent.encode())
    assert status in (400, 404, 405)
    assert json.loads(body)["status"] == status


async def test_undecodable_bytes_in_a_url_are_refused(address: str) -> None:
    for target in (b"/p\xe9ge", b"/things?name=\xff\xfe", b"/\xed\xa0\x80"):
        ((status, body),) = await everything(
            address, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert status in (400, 404, 422), target
        assert json.loads(body)["status"] == status
