"""Readers of live streams, and a writer: measures how long after its event each line arrives."""

import asyncio
import math
import socket
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic, time
from typing import Final
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import msgspec
from aiohttp import ClientSession, ClientTimeout, TCPConnector

from counterfoil_dev.postgres import Database

_EVENT: Final = b',"entry":'
_SMALL_BUFFER: Final = 16_384
_WRITES_A_SECOND: Final = 20

# Inserts events of consecutive versions of one subject; the entry of each contains only the time of its insertion.
_WRITE: Final = """
insert into event (account_id, kind, subject_id, version, type, at, entry)
select $1::uuid, 'token', $2::uuid, version, 'renewed', at,
       format('{"account":"%s","at":"%s","by":{"id":"%s","kind":"user"},"data":{"lifetime":"90d","padding":"%s"},'
              '"subject":{"id":"%s","kind":"token"},"type":"renewed","v":0,"version":%s}',
              $1, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), $1, repeat('x', 100), $2, version)
  from (select clock_timestamp() as at) now, generate_series($3::bigint, $4::bigint) as version"""


class _Line(msgspec.Struct):
    position: int
    entry: str


class _At(msgspec.Struct):
    at: datetime | None = None


@dataclass(slots=True)
class Follower:
    """A reader that fails if a position is missing."""

    session: ClientSession
    url: str
    position: int
    until: float = math.inf
    """The position at which the reader stops, once it is known; lines without an event also state a position."""
    query: str = "follow=true"
    events: int = 0
    checksum: int = 0
    """A checksum of all received lines."""
    tenths: Counter[int] = field(default_factory=Counter)
    """Counts of sampled lines by their delay, in tenths of a millisecond."""
    cut: bool = False
    _rest: bytes = b""

    async def read(self) -> None:
        """Read until the end position, or until the stream ends."""
        async with self.open() as answer:
            await self.read_on(answer)

    def open(self) -> "aiohttp.client._RequestContextManager":
        """Request the stream from the current position on."""
        self._rest = b""
        patience = ClientTimeout(total=None, sock_read=60)
        return self.session.get(f"{self.url}/v1/events?{self.query}&after={self.position}", timeout=patience)

    async def read_on(self, answer: aiohttp.ClientResponse) -> None:
        """Continue to read until the end position, or until the stream ends."""
        assert answer.status == 200, answer.status
        try:
            async for chunk in answer.content.iter_any():
                self._take(chunk)
                if self.position >= self.until:
                    return
        except (aiohttp.ClientError, ConnectionError):
            self.cut = True

    def _take(self, chunk: bytes) -> None:
        now = time()
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        looked_at = {len(lines) - 1, 0}
        for at, line in enumerate(lines):
            number, event, _ = line[12:].partition(_EVENT)
            if not event:
                assert line == b'{"position":%d}' % self.position, line
                continue
            if self.position >= self.until:
                return
            assert int(number) == self.position + 1, f"after {self.position} came {number!r}"
            self.position += 1
            self.events += 1
            self.checksum = zlib.crc32(line, self.checksum)
            if at in looked_at:
                entry = msgspec.json.decode(line, type=_Line).entry
                if written := msgspec.json.decode(entry, type=_At).at:
                    self.tenths[max(0, int((now - written.timestamp()) * 10_000))] += 1


def session_of(credentials: str, *, stalls: bool = False) -> ClientSession:
    """Return a session with an unlimited number of connections; a stalled reader also gets a small receive buffer."""

    def small(address: tuple[object, ...]) -> socket.socket:
        opened = socket.socket(address[0], address[1], address[2])  # type: ignore[arg-type] # as getaddrinfo gives them
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        return opened

    connector = TCPConnector(limit=0, socket_factory=small) if stalls else TCPConnector(limit=0)
    headers = {"Authorization": credentials, "Accept": "application/x-ndjson"}
    return ClientSession(connector=connector, headers=headers, read_bufsize=2**14 if stalls else 2**20)


async def account_of(database: Database) -> UUID:
    """Return the account that `fill` created."""
    connection = await asyncpg.connect(database.owner_url)
    try:
        return UUID(str(await connection.fetchval("select account_id from token limit 1")))
    finally:
        await connection.close()


async def write(url: str, account: UUID, *, rate: int, seconds: float) -> int:
    """Insert events at this rate without the door, which would cost more than everything else; return their number."""
    connection = await asyncpg.connect(url)
    subject, version, began = uuid4(), 0, monotonic()
    try:
        while (now := monotonic()) < began + seconds:
            wanted = int((now - began) * rate) + 1
            if wanted > version:
                await connection.execute(_WRITE, account, subject, version + 1, wanted)
                version = wanted
            await asyncio.sleep(1 / _WRITES_A_SECOND)
    finally:
        await connection.close()
    return version


def milliseconds(followers: Sequence[Follower], percent: float) -> float:
    """Return a percentile of the delays of the sampled lines."""
    taken = sum((each.tenths for each in followers), Counter[int]())
    left = taken.total() * percent / 100
    for tenth, count in sorted(taken.items()):
        left -= count
        if left <= 0:
            return (tenth + 1) / 10
    return float("nan")


async def figures(session: ClientSession, url: str) -> tuple[float, float]:
    """Return a process's resident memory in megabytes, and its processor time in seconds."""
    async with session.get(f"{url}/metrics") as answer:
        lines = dict(line.rsplit(" ", 1) for line in (await answer.text()).splitlines() if line[0] != "#")
    return float(lines["process_resident_memory_bytes"]) / 2**20, float(lines["process_cpu_seconds_total"])
