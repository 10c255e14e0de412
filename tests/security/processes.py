"""Several API processes over one database, each at an address of its own."""

import asyncio
import base64
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

from aiohttp import ClientError, ClientSession

from counterfoil.cli import main
from counterfoil_dev.postgres import Database
from forked import Forked, become
from hashes import hash_quickly

ISSUER = "https://tokens.example.org"


@asynccontextmanager
async def several(database: Database, count: int, **more: str) -> AsyncIterator[list[str]]:
    """The addresses of this many API processes, ready for requests."""
    with ExitStack() as ending:
        urls = [ending.enter_context(one(database, **more))[0] for _ in range(count)]
        await asyncio.gather(*map(ready, urls))
        yield urls


@contextmanager
def one(database: Database, **more: str) -> Iterator[tuple[str, Forked]]:
    """The address of a started API process, and the process."""
    port = _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database.app_url,
        "PEPPERS": f"1:{base64.b64encode(b'p' * 32).decode()}",
        "KEY_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
        "PUBLIC_URL": ISSUER,
        "API_PORT": str(port),
        "LOG_LEVEL": "error",
        **more,
    }
    process = Forked(_api, environment)
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _api(environment: dict[str, str]) -> None:
    """Become the API, as the command would start it."""
    become(environment)
    hash_quickly()
    sys.argv = ["counterfoil", "api"]
    main()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def ready(url: str) -> None:
    """Return when it answers requests."""
    async with ClientSession(url) as session, asyncio.timeout(60):
        while True:
            try:
                async with session.get("/readyz") as answer:
                    if answer.status == 200:
                        return
            except ClientError:
                await asyncio.sleep(0.05)
