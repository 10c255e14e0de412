"""`python -m tests.bench.serve postgres|memory`: one API process with the real ledger or its twin; prints its port."""

import asyncio
import signal
import sys

import uvloop
from aiohttp import web

from counterfoil import logging
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from counterfoil_api.http.server import Runner
from counterfoil_api.services import open_services

from .twin import services_in_memory

OPENERS = {"postgres": open_services, "memory": services_in_memory}


async def serve(storage: str) -> None:
    """Serve until SIGTERM."""
    settings = Settings.from_environment(command="api")
    logging.configure(settings.log_format, settings.log_level)
    runner = Runner(make_app(settings, opening=OPENERS[storage]))
    await runner.setup()
    await web.TCPSite(runner, settings.api_host, 0).start()
    print(runner.addresses[0][1], flush=True)  # noqa: T201 - the parent process reads it
    arguments = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, arguments.set)
    await arguments.wait()
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
