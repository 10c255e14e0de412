"""Measures what a dialect costs: its list, create and exchange, each compared with the native call.

    python3 shared/boot.py run python -m tests.bench.dialects

One API process and Postgres. The two calls of a pair take turns, and do the same to the same tokens: they list as many,
and create or exchange with the same credentials. What is compared is the API process's own processor time for an
answer, which other work on the machine changes least; the rates stand beside it.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from aiohttp import ClientSession, encode_basic_auth
from rich.console import Console
from rich.table import Table

from counterfoil.core.duration import FOREVER
from counterfoil.settings import Settings
from counterfoil.uses.credentials_file import WithExamples
from counterfoil.uses.found_account import found
from counterfoil_dev.postgres import embedded_postgres
from counterfoil_dev.state import State

from .load import HOST
from .sample import ENVIRONMENT
from .stage import Server, Stage

MOST_EXTRA: Final = 1.2
"""The highest ratio that is allowed: processor time of a dialect's call to that of the native call."""
JSON: Final = {"Content-Type": "application/json"}
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is sent repeatedly."""

    method: str
    path: str
    headers: dict[str, str]
    body: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """A call of a dialect, and the native call that does the same."""

    name: str
    dialect: Call
    native: Call


class Cost(msgspec.Struct, frozen=True):
    """The result for a pair: answers a second, and microseconds of processor time of the API process per answer."""

    name: str
    per_second: float
    native_per_second: float
    cpu_us: float
    native_cpu_us: float

    @property
    def ratio(self) -> float:
        """The ratio of the processor times."""
        return self.cpu_us / self.native_cpu_us


@dataclass(slots=True)
class Side:
    """All rounds of one call of a pair."""

    answers: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def bearer(secret: str) -> dict[str, str]:
    """Return credentials as a bearer."""
    return {"Authorization": f"Bearer {secret}"}


@dataclass(slots=True)
class Setting:
    """The account on the server, and its tokens."""

    session: ClientSession
    account: WithExamples
    variables: dict[str, str] = field(default_factory=dict)

    async def ask(self, call: Call) -> Any:
        """Send one request, and fail unless it succeeds."""
        async with self.session.request(call.method, call.path, headers=call.headers, data=call.body) as answer:
            body = await answer.read()
            if answer.status >= 300:
                raise SystemExit(f"{call.method} {call.path.partition('?')[0]}: {answer.status} {body[:300]!r}")
            return msgspec.json.decode(body)

    async def pairs(self, tokens: int) -> list[Pair]:
        """Create this many tokens for each list, and return the pairs to compare."""
        account = self.account
        member, admin = bearer(account.member_token), bearer(account.admin_token)
        owners = {
            "user": {"type": "user", "id": str(account.member_user_id)},
            "application": {"type": "application", "id": account.application_id},
            "zone": {"type": "service", "id": account.zone_id},
        }
        for owner in owners.values():
            for n in range(tokens):
                body = msgspec.json.encode({"name": f"token {n}", "owner": owner}).decode()
                await self.ask(Call("POST", "/v1/tokens", {**admin, **JSON}, body))
        exchange = Call("POST", "/v1/exchange", {**member, **JSON}, "{}")
        empty_user = {"Authorization": encode_basic_auth("", account.member_token)}
        scalingo_exchange = Call("POST", "/scalingo/v1/tokens/exchange", empty_user)
        native = bearer((await self.ask(exchange))["access_token"])
        scalingo = bearer((await self.ask(scalingo_exchange))["token"])
        signin = Call("POST", "/virtuozzo/1.0/users/authentication/rest/signin", FORM,
                      urlencode({"login": account.member_login, "password": account.member_password}))  # fmt: skip
        session = {"session": (await self.ask(signin))["session"]}
        canvus = {"Private-Token": account.member_token}
        number, application = account.member_user_number, account.application_id
        zone = f"/cloudflare/client/v4/zones/{account.zone_id}/access/service_tokens"
        password = {"Authorization": encode_basic_auth(account.member_login, account.member_password)}
        virtuozzo = "/virtuozzo/1.0/users/authentication/rest"

        def create(caller: dict[str, str], **body: object) -> Call:
            return Call("POST", "/v1/tokens", {**caller, **JSON}, msgspec.json.encode({"name": "new", **body}).decode())

        def listing(caller: dict[str, str], owner: str) -> Call:
            query = urlencode({"owner_type": owners[owner]["type"], "owner_id": owners[owner]["id"], "limit": 200})
            return Call("GET", f"/v1/tokens?{query}", caller)

        own = ["own.*", "virtuozzo.*", "losant.application.*"]
        brief = {**native, **JSON}
        return [
            Pair("scalingo exchange", scalingo_exchange, exchange),
            Pair("scalingo list", Call("GET", "/scalingo/v1/tokens", scalingo), listing(native, "user")),
            Pair("canvus list", Call("GET", f"/canvus/api/v1/users/{number}/access-tokens", canvus),
                 listing(member, "user")),
            Pair("virtuozzo list", Call("POST", f"{virtuozzo}/gettokens", FORM, urlencode(session)),
                 listing(member, "user")),
            Pair("losant list", Call("GET", f"/losant/applications/{application}/tokens?perPage=200", admin),
                 listing(admin, "application")),
            Pair("cloudflare list", Call("GET", f"{zone}?per_page=200", admin), listing(admin, "zone")),
            Pair("scalingo create", Call("POST", "/scalingo/v1/tokens", {**scalingo, **JSON}, '{"name":"new"}'),
                 create(brief, scopes=own, lifetime="10m")),
            Pair("canvus create", Call("POST", f"/canvus/api/v1/users/{number}/access-tokens", {**canvus, **JSON},
                                       '{"description":"new"}'), create(member, scopes=own)),
            Pair("losant create", Call("POST", f"/losant/applications/{application}/tokens", {**admin, **JSON},
                                       '{"name":"new"}'),
                 create(admin, owner=owners["application"], scopes=["losant.application.*"])),
            Pair("cloudflare create", Call("POST", zone, {**admin, **JSON}, '{"name":"new"}'),
                 create(admin, owner=owners["zone"], lifetime="8760h")),
            Pair("virtuozzo create, with a password",
                 Call("POST", f"{virtuozzo}/createtoken", FORM,
                      urlencode({**session, "password": account.member_password, "description": "new"})),
                 create(password)),
        ]  # fmt: skip


async def turn(session: ClientSession, call: Call, server: Server, seconds: float, connections: int) -> Side:
    """Send a request in a closed loop on this many connections."""
    side = Side()
    until = time.perf_counter() + seconds

    async def loop() -> None:
        while time.perf_counter() < until:
            async with session.request(call.method, call.path, headers=call.headers, data=call.body) as answer:
                body = await answer.read()
                if answer.status >= 300:
                    raise SystemExit(f"{call.path.partition('?')[0]}: {answer.status} {body[:300]!r}")
                side.answers += 1

    before, began = await asyncio.to_thread(server.spent), time.perf_counter()
    await asyncio.gather(*(loop() for _ in range(connections)))
    side.seconds = time.perf_counter() - began
    side.cpu_seconds = (await asyncio.to_thread(server.spent) - before).cpu_seconds
    return side


async def measure(
    server: Server, directory: Path, arguments: argparse.Namespace, done: Callable[[str], None]
) -> list[Cost]:
    """Create an account, and run the calls of each pair in turns."""
    settings = Settings.from_environment(
        {**os.environ, **ENVIRONMENT, "DATABASE_URL": server.database.app_url}, command="api"
    )
    file = directory / "credentials.json"
    await found(settings, name="dialects", email="ada@dialects.example.org", file=file, lifetime=FOREVER, examples=True)
    account = msgspec.json.decode(file.read_bytes(), type=WithExamples)
    costs = []
    async with ClientSession(f"http://{HOST}:{server.port}") as session:
        for pair in await Setting(session, account).pairs(arguments.tokens):
            if arguments.only and not any(each in pair.name for each in arguments.only):
                continue
            sides = (Side(), Side())
            for _ in range(arguments.rounds):
                for side, call in zip(sides, (pair.dialect, pair.native), strict=True):
                    made = await turn(session, call, server, arguments.seconds, arguments.connections)
                    side.answers += made.answers
                    side.seconds += made.seconds
                    side.cpu_seconds += made.cpu_seconds
            ours, native = sides
            costs.append(Cost(
                pair.name, ours.answers / ours.seconds, native.answers / native.seconds,
                1e6 * ours.cpu_seconds / ours.answers, 1e6 * native.cpu_seconds / native.answers,
            ))  # fmt: skip
            done(pair.name)
    return costs


def table_of(costs: list[Cost]) -> Table:
    """Return the figures as a table."""
    table = Table("call", "per second", "native", "CPU µs", "native", "ratio", f"at most {MOST_EXTRA}")
    for each in costs:
        table.add_row(
            each.name, f"{each.per_second:,.0f}", f"{each.native_per_second:,.0f}", f"{each.cpu_us:,.0f}",
            f"{each.native_cpu_us:,.0f}", f"{each.ratio:.2f}", "yes" if each.ratio <= MOST_EXTRA else "NO",
        )  # fmt: skip
    return table


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(prog="tests.bench.dialects", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", help="pairs whose name holds one of these")
    parser.add_argument("--tokens", type=int, default=50, help="in each list")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--json", action="store_true", help="print plain values")
    arguments = parser.parse_args()
    os.environ |= {"REDIS_URL": "unix:///nowhere"}
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="cf-bench-", dir="/tmp") as directory, ExitStack() as ending:
        postgres = ending.enter_context(embedded_postgres(State.at(Path(directory))))
        server = Stage(postgres, Path(directory), ending).server("postgres", 100)
        costs = asyncio.run(measure(server, Path(directory), arguments, lambda name: console.print(f"{name}: done")))
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(costs).decode() + "\n")
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(table_of(costs))


if __name__ == "__main__":
    main()
