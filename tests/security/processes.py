"""Several API processes over one database, each at an address of its own."""

import asyncio
import base64
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from aiohttp import ClientError, ClientSession

from counterfoil_dev.postgres import Database

ISSUER = "https://tokens.example.org"
_API = "from hashes import hash_quickly; hash_quickly(); from counterfoil.cli import main; main()"


@asynccontextmanager
async def several(database: Database, count: int, **more: str) -> AsyncIterator[list[str]]:
    """The addresses of so many API processes, ready for requests."""
    with ExitStack() as ending:
        urls = [ending.enter_context(_one(database, more)) for _ in range(count)]
        await asyncio.gather(*map(_ready, urls))
        yield urls


@contextmanager
def _one(database: Database, more: dict[str, str]) -> Iterator[str]:
    port = _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "DATABASE_URL": database.app_url,
        "PEPPERS": f"1:{base64.b64encode(b'p' * 32).decode()}",
        "KEY_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
        "PUBLIC_URL": ISSUER,
        "API_PORT": str(port),
        "LOG_LEVEL": "error",
        **more,
    }
    command = [sys.executable, "-c", _API, "api"]
    with subprocess.Popen(command, env=environment) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _ready(url: str) -> None:
    async with ClientSession(url) as session, asyncio.timeout(60):
        while True:
            try:
                async with session.get("/readyz") as answer:
                    if answer.status == 200:
                        return
            except ClientError:
                await asyncio.sleep(0.05)
