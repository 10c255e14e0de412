"""Measures how many valid logins are refused while others guess passwords, from one network or from many.

    python3 shared/boot.py run python -m tests.bench.logins

One API process and Postgres. Strangers loop on 40 connections with wrong passwords of people who do not exist, while
one user logs in again and again: at home, and from a network where nobody ever logged in before.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import msgspec
from aiohttp import ClientSession, encode_basic_auth
from rich.console import Console
from rich.table import Table

from counterfoil.settings import Settings
from counterfoil.uses.found_account import found
from counterfoil_dev.postgres import embedded_postgres
from counterfoil_dev.state import State

from .load import HOST
from .sample import ENVIRONMENT
from .stage import Server, Stage

NETWORKS = (0, 1, 10, 12)
HOME = "192.0.2.7"


class Flood(msgspec.Struct, frozen=True):
    """The results of a user's logins during guesses from a number of networks, and the statuses of the guesses."""

    networks: int
    logins: int
    refused_at_home: int
    refused_elsewhere: int
    seconds_at_home: float
    strangers: dict[str, int]


async def login(session: ClientSession, who: tuple[str, str], address: str) -> int:
    """Log in from this address, and return the status."""
    headers = {"X-Forwarded-For": address, "Authorization": encode_basic_auth(*who)}
    async with session.get("/v1/users/self", headers=headers) as answer:
        await answer.read()
        return answer.status


async def flooded(session: ClientSession, user: tuple[str, str], networks: int, arguments: argparse.Namespace) -> Flood:
    """Log in while others guess passwords from this many networks."""
    printed: Counter[str] = Counter()

    async def stranger(number: int) -> None:
        while True:
            address = f"10.{networks}.{number % networks}.{number}"
            printed[str(await login(session, (f"nobody-{number}@x.example", "wrong"), address))] += 1

    strangers = [asyncio.create_task(stranger(number)) for number in range(arguments.connections if networks else 0)]
    home, elsewhere, took = [], [], []
    for number in range(arguments.logins):
        began = time.perf_counter()
        home.append(await login(session, user, HOME))
        took.append(time.perf_counter() - began)
        elsewhere.append(await login(session, user, f"172.{16 + networks}.{number}.1"))
    for task in strangers:
        task.cancel()
    refused = [sum(status != 200 for status in each) for each in (home, elsewhere)]
    return Flood(networks, arguments.logins, refused[0], refused[1], median(took), dict(sorted(printed.items())))


async def measure(
    server: Server, directory: Path, arguments: argparse.Namespace, done: Callable[[int], None]
) -> list[Flood]:
    """Create a user, log in once, and measure logins during one flood of guesses after the other."""
    file = directory / "credentials.json"
    settings = Settings.from_environment(
        {**os.environ, **ENVIRONMENT, "DATABASE_URL": server.database.app_url}, command="api"
    )
    await found(settings, name="logins", email="ada@logins.example.org", file=file)
    credentials = msgspec.json.decode(file.read_bytes())
    user = (credentials["admin_email"], credentials["admin_password"])
    floods = []
    async with ClientSession(f"http://{HOST}:{server.port}") as session:
        if await login(session, user, HOME) != 200:
            raise SystemExit("the user cannot log in")
        for networks in arguments.networks:
            floods.append(await flooded(session, user, networks, arguments))
            done(networks)
    return floods


def table_of(floods: list[Flood]) -> Table:
    """Return the figures as a table."""
    table = Table("networks", "logins", "refused at home", "refused elsewhere", "s at home (median)", "strangers")
    for each in floods:
        strangers = ", ".join(f"{count} x {status}" for status, count in each.strangers.items())
        table.add_row(
            str(each.networks), str(each.logins), str(each.refused_at_home), str(each.refused_elsewhere),
            f"{each.seconds_at_home:.2f}", strangers,
        )  # fmt: skip
    return table


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(prog="tests.bench.logins", description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, nargs="+", default=NETWORKS)
    parser.add_argument("--connections", type=int, default=40)
    parser.add_argument("--logins", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="print plain values")
    arguments = parser.parse_args()
    os.environ |= {"TRUSTED_PROXIES": "127.0.0.1/32", "REDIS_URL": "unix:///nowhere"}
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="cf-bench-", dir="/tmp") as directory, ExitStack() as ending:
        postgres = ending.enter_context(embedded_postgres(State.at(Path(directory))))
        server = Stage(postgres, Path(directory), ending).server("postgres", 100)
        floods = asyncio.run(
            measure(server, Path(directory), arguments, lambda networks: console.print(f"{networks} networks: done"))
        )
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(floods).decode() + "\n")
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(table_of(floods))


if __name__ == "__main__":
    main()
