"""Another process with its own door; this file is also the program that it runs.

It reads lists of (command, claim) as pickles from its standard input, executes each list at once, and writes a list of
outcomes and refusals to its standard output.
"""

import asyncio
import pickle
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from counterfoil.core.unit_of_work import Request
from counterfoil.door import Door
from counterfoil.idempotency import IdempotencyClaim
from counterfoil.postgres import batch, idempotency_keys
from door.asking import answer

Asks = Sequence[tuple[Request, IdempotencyClaim | None]]
Start = Callable[..., Awaitable["Elsewhere"]]

_LENGTH_BYTES = 4


class Elsewhere:
    """A handle of the other process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, url: str, *, still_after: str = "") -> "Elsewhere":
        """Start it; after this step of a batch it prints `reached` and stops for ever."""
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "door.other_process", url, still_after),
                cwd=Path(__file__).parents[1],
                stdin=pipe,
                stdout=pipe,
            )
        )

    async def ask(self, asks: Asks) -> list[Any]:
        """Execute these commands together; return refusals instead of raising them."""
        self.send(asks)
        answers: list[Any] = await self.hear()
        return answers

    def send(self, asks: Asks) -> None:
        assert self.process.stdin
        self.process.stdin.write(_framed(list(asks)))

    async def hear(self) -> Any:
        assert self.process.stdout
        return await _unframed(self.process.stdout)

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


def _framed(what: object) -> bytes:
    pickled = pickle.dumps(what)
    return len(pickled).to_bytes(_LENGTH_BYTES, "big") + pickled


async def _unframed(reader: asyncio.StreamReader) -> Any:
    length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
    return pickle.loads(await reader.readexactly(length))


def _say(what: object) -> None:
    sys.stdout.buffer.write(_framed(what))
    sys.stdout.buffer.flush()


def _stand_still_after(step: str) -> None:
    """Make a step of the batch print that it is done and never return."""
    room = next(room for room in (batch, idempotency_keys) if hasattr(room, step))
    real = getattr(room, step)

    async def done_and_no_further(*args: Any, **said: Any) -> None:
        await real(*args, **said)
        _say("reached")
        await asyncio.Event().wait()

    setattr(room, step, done_and_no_further)


async def _main(url: str, still_after: str) -> None:
    if still_after:
        _stand_still_after(still_after)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with Door(url) as door:
        while True:
            try:
                asks: Asks = await _unframed(reader)
            except asyncio.IncompleteReadError:
                return
            calls = [door.execute(command, claim, answer if claim else None) for command, claim in asks]
            _say(await asyncio.gather(*calls, return_exceptions=True))


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_main(*sys.argv[1:]))
