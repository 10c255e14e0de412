"""`python -m tests.bench.load`: closed-loop HTTP load, in a process of its own.

Reads a Round a line from its standard input and answers each with a Tally. Raw sockets, one pre-built request under way
on every connection, and nothing parsed but status and length: the less it costs, the more is left for what it measures.
"""

import asyncio
import gc
import random
import sys
from collections import Counter
from itertools import cycle
from time import perf_counter
from typing import Final, Literal

import msgspec
import uvloop

from .sample import secret

Kind = Literal["exchange", "introspect", "create", "list"]

HOST: Final = "127.0.0.1"
WARMING_SECONDS: Final = 0.3
"""Warm-up: answers within this time are not counted."""
_LAST_ANSWERS_SECONDS: Final = 10.0
_MOST_REQUESTS: Final = 20_000


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request for a number of seconds, to a server with a number of tokens."""

    kind: Kind
    port: int
    tokens: int
    asker: str
    seconds: float
    connections: int
    seed: int


class Tally(msgspec.Struct, frozen=True):
    """Counts of answers by duration in tenths of a millisecond, and by status.

    `answers` counts also those that came before and after the seconds that count.
    """

    seconds: float
    answers: int
    tenths: dict[int, int]
    statuses: dict[int, int]


def requests(this: Round) -> list[bytes]:
    """Build the requests of a round. The tokens are random, so that all database pages are equally likely cached."""
    picks = random.Random(this.seed)
    return [_request(this, picks.randrange(1, this.tokens + 1)) for _ in range(_MOST_REQUESTS)]


def _request(this: Round, n: int) -> bytes:
    match this.kind:
        case "exchange":
            return _written("POST", "/v1/exchange", secret(n).plain, body="{}")
        case "introspect":
            form = f"token={secret(n).plain}"
            return _written("POST", "/v1/introspect", this.asker, body=form, media="application/x-www-form-urlencoded")
        case "create":
            return _written("POST", "/v1/tokens", this.asker, body=_NEW_TOKEN)
        case "list":
            return _written("GET", "/v1/tokens?limit=100", this.asker)


_NEW_TOKEN: Final = """{"name":"nightly export","owner":{"type":"service","id":"billing"},"lifetime":"90d",
"scopes":["invoices.read","invoices.write"],"metadata":{"team":"billing"}}"""


def _written(method: str, path: str, asker: str, *, body: str = "", media: str = "application/json") -> bytes:
    about = f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {asker}\r\n{about}\r\n{body}".encode()


class Run:
    """A running round: the next request, the end, and the counts."""

    def __init__(self, this: Round) -> None:
        self.loop = asyncio.get_running_loop()
        self.requests = cycle(requests(this))
        self.counts_from = perf_counter() + WARMING_SECONDS
        self.until = self.counts_from + this.seconds
        self.answers = 0
        self.tenths: Counter[int] = Counter()
        self.statuses: Counter[int] = Counter()

    def answered(self, status: int, sent_at: float) -> None:
        """Count an answer that arrived before the end."""
        now = perf_counter()
        self.answers += 1
        if self.counts_from <= now < self.until:
            self.tenths[int((now - sent_at) * 10_000)] += 1
            self.statuses[status] += 1


class Connection(asyncio.Protocol):
    """A connection that sends a request, waits for the whole answer, and sends the next one."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._received = b""
        self._sent_at = 0.0
        self.done = run.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment] # uvloop's is one in all but name
        self._send()

    def data_received(self, data: bytes) -> None:
        """Send the next request once the answer is complete."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or len(self._received) < end + 4 + _length_of(self._received[:end]):
            return
        self._run.answered(int(self._received[9:12]), self._sent_at)
        self._received = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the round if the server closes the connection before its end."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))

    def _send(self) -> None:
        self._sent_at = perf_counter()
        if self._sent_at < self._run.until:
            self._transport.write(next(self._run.requests))
        else:
            self.done.set_result(None)
            self._transport.close()


def _length_of(head: bytes) -> int:
    start = head.index(b"Content-Length: ") + 16
    end = head.find(b"\r\n", start)
    return int(head[start:] if end < 0 else head[start:end])


async def tally_of(this: Round) -> Tally:
    """Run a round, and return its counts."""
    run = Run(this)
    opened = await asyncio.gather(
        *(run.loop.create_connection(lambda: Connection(run), HOST, this.port) for _ in range(this.connections))
    )
    async with asyncio.timeout(WARMING_SECONDS + this.seconds + _LAST_ANSWERS_SECONDS):
        await asyncio.gather(*(connection.done for _, connection in opened))
    return Tally(this.seconds, run.answers, run.tenths, run.statuses)


def main() -> None:
    """Read rounds from the input and print their tallies until the input ends."""
    gc.disable()
    for line in sys.stdin.buffer:
        tally = uvloop.run(tally_of(msgspec.json.decode(line, type=Round)))
        sys.stdout.buffer.write(msgspec.json.encode(tally) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
