"""A proxy of the service that fails at the worst moment."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from listening import stop_accepting

_CHUNK = 1 << 16
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Failure = Callable[[Streams, Streams], Awaitable[None]]


@dataclass
class Proxy:
    """Forwards everything; each of the next connections gets one of the `failures`."""

    target: str
    url: str = ""
    failures: list[Failure] = field(default_factory=list)
    connections: int = 0
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving.add(asyncio.create_task(self._serve(reader, writer)))

    def cut_all(self) -> None:
        """Cut every open connection."""
        for task in self.serving:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(self.target)
        there = await asyncio.open_connection(parts.hostname, parts.port)
        here = (reader, writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                if self.failures:
                    await self.failures.pop(0)(here, there)
                else:
                    await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
        finally:
            for end in (writer, there[1]):
                end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.read(_CHUNK):
        writer.write(line)
        await writer.drain()
    writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Read one complete request or reply."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


async def _request(here: Streams, there: Streams) -> bytes:
    there[1].write(await _message(here[0]))
    return await _message(there[0])


async def lose_the_question(here: Streams, _there: Streams) -> None:
    """The request never arrives."""
    await _message(here[0])


async def lose_the_answer(here: Streams, there: Streams) -> None:
    """The service executes the request and answers, and the answer is dropped."""
    await _request(here, there)


async def lose_the_end(here: Streams, there: Streams) -> None:
    """Only half of the answer arrives."""
    answer = await _request(here, there)
    here[1].write(answer[: len(answer) - 40])
    await here[1].drain()


async def arrive_late(here: Streams, there: Streams) -> None:
    """The client is disconnected at once, and its request arrives while it already retries."""
    request = await _message(here[0])
    here[1].transport.abort()
    await asyncio.sleep(0.12)
    there[1].write(request)
    await _message(there[0])


def stalling(*, after: int) -> Failure:
    """After this many bytes nothing more arrives, for as long as the client waits."""

    async def stall(here: Streams, there: Streams) -> None:
        await _some_of_the_answer(here, there, after)
        await here[0].read()

    return stall


def cut(*, after: int) -> Failure:
    """After this many bytes of the answer the connection is cut."""

    async def cut(here: Streams, there: Streams) -> None:
        await _some_of_the_answer(here, there, after)

    return cut


async def _some_of_the_answer(here: Streams, there: Streams, size: int) -> None:
    there[1].write(await _message(here[0]))
    while size > 0 and (line := await there[0].read(min(size, _CHUNK))):
        here[1].write(line)
        await here[1].drain()
        size -= len(line)


async def say_bad_gateway(here: Streams, there: Streams) -> None:
    """A gateway gives up although the service executed the request."""
    await _request(here, there)
    await _say(here, b"502 Bad Gateway")


async def say_too_many(here: Streams, _there: Streams) -> None:
    """A gateway refuses the request for a second."""
    await _message(here[0])
    await _say(here, b"429 Too Many Requests", b"Retry-After: 1\r\n")


async def say_come_back_tomorrow(here: Streams, _there: Streams) -> None:
    await _message(here[0])
    await _say(here, b"503 Service Unavailable", b"Retry-After: 86400\r\n")


async def break_afterwards(here: Streams, there: Streams) -> None:
    """The service executes the request and then crashes."""
    await _request(here, there)
    await _say(here, b"500 Internal Server Error")


async def say_nonsense(here: Streams, _there: Streams) -> None:
    """The answer of a captive portal to every request."""
    await _message(here[0])
    await _say(here, b"200 OK", b"Content-Type: text/html\r\n", b"<html>Welcome to our hotel</html>")


async def send_elsewhere(here: Streams, _there: Streams) -> None:
    await _message(here[0])
    await _say(here, b"307 Temporary Redirect", b"Location: http://127.0.0.1:1/\r\n")


async def _say(here: Streams, status: bytes, headers: bytes = b"", body: bytes = b"") -> None:
    length = b"Content-Length: %d\r\n" % len(body)
    here[1].write(b"HTTP/1.1 " + status + b"\r\n" + headers + length + b"Connection: close\r\n\r\n" + body)
    await here[1].drain()
    here[1].close()
    await here[0].read()


@asynccontextmanager
async def cutting(target: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        await stop_accepting(server.sockets)
        server.close()
        for task in proxy.serving:
            task.cancel()
        await asyncio.gather(*proxy.serving, return_exceptions=True)
