"""A response of any length, read line by line while it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp

from counterfoil.client.failures import Unintelligible
from counterfoil.client.losses import CUT_OFF, Lost, lost
from counterfoil.client.wire import Answer, Call, Wire

SILENCE_SECONDS: Final = 30.0
"""A working server sends a line, or a line without an event, at least every ten seconds."""
LONGEST_LINE: Final = 1 << 20
"""Bytes; an entry has at most 65,535, and twice as many when escaped in JSON."""
_LONGEST_REFUSAL: Final = 1 << 16


class Interrupted(Exception):  # noqa: N818 - named like the refusals
    """The response did not arrive, or not completely; `result` says why."""

    def __init__(self, result: Answer | Lost) -> None:
        self.result = result
        super().__init__()


@dataclass(frozen=True, slots=True, repr=False)
class Refusal(Answer):
    """A refused read. A read changes nothing, so it may be repeated after any server error."""

    @property
    def again(self) -> bool:
        """Whether the same read may succeed later."""
        return self.status == 429 or self.status >= 500


@asynccontextmanager
async def reply(wire: Wire, call: Call) -> AsyncIterator[aiohttp.ClientResponse]:
    """Open a response; until it is closed, any connection error is raised as Interrupted."""
    timeout = aiohttp.ClientTimeout(connect=wire.connect_seconds, sock_read=SILENCE_SECONDS)
    try:
        async with asyncio.timeout(wire.try_seconds) as opening, wire.request(call, timeout) as response:
            wire.note_expiry(response.status, response.headers)
            if response.status != 200:
                content = await _beginning(response.content, _LONGEST_REFUSAL)
                raise Interrupted(Refusal(response.status, content, response.headers))
            opening.reschedule(None)
            yield response
    except CUT_OFF as error:
        raise Interrupted(lost(wire.url, error)) from None


async def _beginning(content: aiohttp.StreamReader, most: int) -> bytes:
    read = b""
    while len(read) < most and (more := await content.read(most - len(read))):
        read += more
    return read


class Lines:
    """Assembles lines from pieces of any size; `rest` is the start of an incomplete line."""

    def __init__(self) -> None:
        self.rest = b""

    def of(self, piece: bytes) -> Iterator[bytes]:
        """Yield the lines that this piece completes, without line ends."""
        *lines, self.rest = (self.rest + piece).split(b"\n")
        if len(self.rest) > LONGEST_LINE or any(len(line) > LONGEST_LINE for line in lines):
            raise Unintelligible(
                f"The answer has a line of more than {LONGEST_LINE:,} bytes, which no event of a ledger has."
            )
        yield from lines
