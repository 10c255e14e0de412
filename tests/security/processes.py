"""Several API processes over one database, each at an address of its own."""

import asyncio
import base64
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess

from aiohttp import ClientError, ClientSession

from counterfoil.cli import main
from counterfoil_dev.postgres import Database
from hashes import hash_quickly

ISSUER = "https://tokens.example.org"
_LOADED = get_context("forkserver")
"""Each is forked from a process that has the API loaded already, which would take more than a second."""
_LOADED.set_forkserver_preload(["counterfoil.cli.command_line", "counterfoil_api.main", "security.processes"])


@asynccontextmanager
async def several(database: Database, count: int, **more: str) -> AsyncIterator[list[str]]:
    """The addresses of so many API processes, ready for requests."""
    with ExitStack() as ending:
        urls = [ending.enter_context(one(database, **more))[0] for _ in range(count)]
        await asyncio.gather(*map(ready, urls))
        yield urls


@contextmanager
def one(database: Database, **more: str) -> Iterator[tuple[str, ForkServerProcess]]:
    """The address of an API process that was started, and the process."""
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
    process = _LOADED.Process(target=_api, args=(environment,))
    process.start()
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.join(30)
        process.close()  # which complains of one that is still there


def _api(environment: dict[str, str]) -> None:
    """Become the API, as the command would start it."""
    os.environ.clear()
    os.environ.update(environment)
    hash_quickly()
    sys.argv = ["counterfoil", "api"]
    main()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def ready(url: str) -> None:
    """Return once it would answer requests."""
    async with ClientSession(url) as session, asyncio.timeout(60):
        while True:
            try:
                async with session.get("/readyz") as answer:
                    if answer.status == 200:
                        return
            except ClientError:
                await asyncio.sleep(0.05)
