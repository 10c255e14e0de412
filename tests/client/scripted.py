"""A server with scripted answers, byte for byte, which our ledger would never send."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from listening import stop_accepting

ID = "01a20070-9783-75f2-ab79-af3b16925535"
PAUSE = b"(pause)"
"""In a reply: here the server says nothing for as long as the client likes to wait."""


Reply = bytes | Callable[[int], bytes]
"""What is sent; or what makes it of the position after which the log is asked for."""
_AFTER = re.compile(r"after=(\d+)")


@dataclass
class Script:
    """Each connection gets the next reply and is then closed; `requests` are their first lines."""

    replies: list[Reply]
    url: str = ""
    requests: list[str] = field(default_factory=list)

    async def play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.split(b"\r\n")[0].decode())
            before, pause, after = self._next().partition(PAUSE)
            writer.write(before)
            await writer.drain()
            if pause:
                await reader.read()  # until the client disconnects
            writer.write(after)
            await writer.drain()
        writer.close()

    def _next(self) -> bytes:
        reply = self.replies.pop(0)
        if isinstance(reply, bytes):
            return reply
        found = _AFTER.search(self.requests[-1])
        assert found
        return reply(int(found[1]))


@asynccontextmanager
async def scripted(*replies: Reply) -> AsyncIterator[Script]:
    script = Script([*replies])
    server = await asyncio.start_server(script.play, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield script
    finally:
        await stop_accepting(server.sockets)
        server.close()


def entry(version: int = 1, **other: object) -> str:
    """The text of an entry."""
    reported: dict[str, object] = {
        "account": ID, "at": "2026-01-01T00:00:00Z", "by": {"id": ID, "kind": "token"}, "data": {"generation": 2},
        "prev": None, "private": None, "subject": {"id": ID, "kind": "token"}, "type": "rotated", "v": 0,
        "version": version,
    }  # fmt: skip
    return json.dumps({**reported, **other})


def line(position: int, private: object = None) -> bytes:
    return json.dumps({"position": position, "entry": entry(position), "private": private}).encode()


def log_reply(*lines: bytes, head: object, ended: bool = True) -> bytes:
    """A reply with these lines, each in its own chunk; one that is not `ended` is cut off after them."""
    chunks = [b"%x\r\n%s\n\r\n" % (len(each) + 1, each) for each in lines]
    begin = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nLog-Head: {head}\r\n".encode()
    return b"".join([begin, b"Transfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n" if ended else b""])


def refusal(status: int, name: str, *headers: str) -> bytes:
    body = json.dumps({"type": f"urn:counterfoil:problem:{name}", "title": name, "status": status}).encode()
    lines = [
        f"HTTP/1.1 {status} No",
        "Content-Type: application/problem+json",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
