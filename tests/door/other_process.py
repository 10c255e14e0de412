"""Another process with its own door.

It reads lists of (command, claim) as pickles from a socket, executes each list at once, and writes a list of outcomes
and refusals to the socket.
"""

import asyncio
import pickle
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from counterfoil.core.unit_of_work import Request
from counterfoil.door import Door
from counterfoil.idempotency import IdempotencyClaim
from counterfoil.postgres import batch, idempotency_keys
from door.asking import answer
from forked import Forked

Asks = Sequence[tuple[Request, IdempotencyClaim | None]]
Start = Callable[..., Awaitable["Elsewhere"]]

_LENGTH_BYTES = 4


class Elsewhere:
    """A handle of the other process."""

    def __init__(self, process: Forked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process, self._reader, self._writer = process, reader, writer

    @classmethod
    async def start(cls, url: str, *, still_after: str = "") -> "Elsewhere":
        """Start it; after this step of a batch it writes `reached` and stops for ever."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = Forked(_serve, theirs, url, still_after)
        return cls(process, *await asyncio.open_connection(sock=ours))

    async def ask(self, asks: Asks) -> list[Any]:
        """Execute these commands together; return refusals instead of raising them."""
        self.send(asks)
        answers: list[Any] = await self.hear()
        return answers

    def send(self, asks: Asks) -> None:
        self._writer.write(_framed(list(asks)))

    async def hear(self) -> Any:
        return await _unframed(self._reader)

    async def kill(self) -> None:
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


def _framed(what: object) -> bytes:
    pickled = pickle.dumps(what)
    return len(pickled).to_bytes(_LENGTH_BYTES, "big") + pickled


async def _unframed(reader: asyncio.StreamReader) -> Any:
    length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
    return pickle.loads(await reader.readexactly(length))


def _serve(asked: socket.socket, url: str, still_after: str) -> None:
    """Be the other process, until the socket is closed."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_serve_door(asked, url, still_after))


async def _serve_door(asked: socket.socket, url: str, still_after: str) -> None:
    reader, writer = await asyncio.open_connection(sock=asked)
    if still_after:
        _stand_still_after(still_after, writer)
    async with Door(url) as door:
        while True:
            try:
                asks: Asks = await _unframed(reader)
            except asyncio.IncompleteReadError:
                return
            calls = [door.execute(command, claim, answer if claim else None) for command, claim in asks]
            writer.write(_framed(await asyncio.gather(*calls, return_exceptions=True)))


def _stand_still_after(step: str, writer: asyncio.StreamWriter) -> None:
    """Make a step of the batch write that it is done and never return."""
    room = next(room for room in (batch, idempotency_keys) if hasattr(room, step))
    real = getattr(room, step)

    async def done_and_no_further(*args: Any, **said: Any) -> None:
        await real(*args, **said)
        writer.write(_framed("reached"))
        await asyncio.Event().wait()

    setattr(room, step, done_and_no_further)
