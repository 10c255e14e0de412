"""One connection, many requests of a proxy: no byte of one is read as part of another."""

import asyncio
import re
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from api.proxy import Asked, issued
from api.service import Caller


async def conversation(url: str, *requests: bytes) -> list[int]:
    """The statuses of requests on one connection, each sent after the previous answer, until it is closed."""
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    answered = b""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        for request in requests:
            writer.write(request)
            answered += await reader.readuntil(b"\r\n\r\n")
        answered += await reader.read()
    writer.close()
    return [int(status) for status in re.findall(rb"HTTP/1.[01] (\d+)", answered)]


def asking(account: str, secret: str, *lines: str, scope: str = "invoices.read") -> bytes:
    head = [f"POST /v1/forward?account={account}&scope={scope} HTTP/1.1", "Host: x", f"Authorization: Bearer {secret}"]
    return "\r\n".join([*head, *lines, "", ""]).encode()


async def test_a_client_cannot_inject_a_request_through_its_proxy(proxy: Asked, admin: Caller, api_url: str) -> None:
    """The proxy drops the body but keeps its length, and sends the next request on the same connection."""
    poor = await issued(admin, "poor.read")
    target = f"/v1/forward?account={proxy.account}&scope=poor.read"
    pair = ("Host: x", f"X-Client-Id: {poor['token']['id']}", f"X-Client-Secret: {poor['secret']}")
    # If everything before the inner request line were the announced body, the rest would be a request of the client.
    next_question = asking(proxy.account, f"GET {target} HTTP/1.1", *pair)
    length = next_question.index(b"GET ")
    first = asking(proxy.account, "nonsense", f"Content-Length: {length}")
    assert await conversation(api_url, first, next_question) == [401]
    inner = next_question[length:].replace(b"X-Client-Id", b"Connection: close\r\nX-Client-Id")
    assert await conversation(api_url, inner) == [200]  # the answer that the attack would have got


@pytest.mark.parametrize("announced", ["Content-Length: 9999999", "Transfer-Encoding: chunked"])
async def test_a_body_that_never_arrives_is_not_awaited(
    proxy: Asked, admin: Caller, api_url: str, announced: str
) -> None:
    secret = (await issued(admin))["secret"]
    first = asking(proxy.account, secret, announced, "Expect: 100-continue")
    assert await conversation(api_url, first, asking(proxy.account, secret)) == [200]


async def test_a_connection_without_a_body_stays_open(proxy: Asked, admin: Caller, api_url: str) -> None:
    secret = (await issued(admin))["secret"]
    requests = [
        asking(proxy.account, secret),
        asking(proxy.account, secret, "Content-Length: 0"),
        asking(proxy.account, secret, "Connection: Upgrade", "Upgrade: websocket"),
        asking(proxy.account, "nonsense"),
        asking(proxy.account, secret, "Content-Length: 4") + b"body",  # the whole body, together with its head
        asking(proxy.account, "nonsense", "Connection: close"),
    ]
    assert await conversation(api_url, *requests) == [200, 200, 200, 401, 200, 401]
