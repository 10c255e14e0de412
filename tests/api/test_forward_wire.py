"""One connection, many questions of a proxy: no byte of one is ever taken for a part of another."""

import asyncio
import re
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from api.proxy import Asked, issued
from api.service import Caller


async def conversation(url: str, *requests: bytes) -> list[int]:
    """The statuses of requests on one connection, each sent after the answer to the one before, until it is closed."""
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


async def test_no_client_puts_a_question_into_the_mouth_of_its_proxy(proxy: Asked, admin: Caller, api_url: str) -> None:
    """A proxy that keeps the body back, but not its length, and asks the next question on the same connection."""
    poor = await issued(admin, "poor.read")
    target = f"/v1/forward?account={proxy.account}&scope=poor.read"
    pair = ("Host: x", f"X-Client-Id: {poor['token']['id']}", f"X-Client-Secret: {poor['secret']}")
    # Were all before the inner request line the body that was announced, the rest would be a question of the client's.
    next_question = asking(proxy.account, f"GET {target} HTTP/1.1", *pair)
    length = next_question.index(b"GET ")
    first = asking(proxy.account, "nonsense", f"Content-Length: {length}")
    assert await conversation(api_url, first, next_question) == [401]
    inner = next_question[length:].replace(b"X-Client-Id", b"Connection: close\r\nX-Client-Id")
    assert await conversation(api_url, inner) == [200]  # which would have been the answer


@pytest.mark.parametrize("announced", ["Content-Length: 9999999", "Transfer-Encoding: chunked"])
async def test_a_body_that_never_comes_is_not_waited_for(
    proxy: Asked, admin: Caller, api_url: str, announced: str
) -> None:
    secret = (await issued(admin))["secret"]
    first = asking(proxy.account, secret, announced, "Expect: 100-continue")
    assert await conversation(api_url, first, asking(proxy.account, secret)) == [200]


async def test_without_a_body_a_connection_goes_on(proxy: Asked, admin: Caller, api_url: str) -> None:
    secret = (await issued(admin))["secret"]
    requests = [
        asking(proxy.account, secret),
        asking(proxy.account, secret, "Content-Length: 0"),
        asking(proxy.account, secret, "Connection: Upgrade", "Upgrade: websocket"),
        asking(proxy.account, "nonsense"),
        asking(proxy.account, secret, "Content-Length: 4") + b"body",  # all of it, with its head
        asking(proxy.account, "nonsense", "Connection: close"),
    ]
    assert await conversation(api_url, *requests) == [200, 200, 200, 401, 200, 401]
