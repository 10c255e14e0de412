"""`counterfoil pepper`: the keys of the secrets' digests, on the server (DATABASE_URL, PEPPERS)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from counterfoil.cli.display import time_of
from counterfoil.cli.errors import REFUSED, ended, on_server, settings
from counterfoil.cli.options import AsJson, whole
from counterfoil.cli.tables import Columns, show_list
from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.secret import Peppers
from counterfoil.core.subjects.peppers import PEPPER_SET, SYNC_SECONDS, ActivatePepper, Pepper, PepperSet, RetirePepper

if TYPE_CHECKING:
    from counterfoil.postgres.connection import Pool
    from counterfoil.postgres.peppers import Left

    CommandFor = Callable[[Pool, PepperSet], Awaitable[ActivatePepper | RetirePepper]]

app = typer.Typer(help="Peppers, on the server itself (DATABASE_URL, PEPPERS).", no_args_is_help=True)

Number = Annotated[int, typer.Argument(parser=whole, help="The pepper's number, as in PEPPERS.", metavar="NUMBER")]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A pepper as commands print it; `alone` counts the valid secrets that have a digest under no other pepper."""

    number: int
    status: str
    since: datetime
    in_environment: bool
    secrets: int
    alone: int
    recovery_codes: int


_PEPPERS: Final[Columns[Shown]] = {
    "no.": lambda pepper: str(pepper.number),
    "status": lambda pepper: pepper.status,
    "since": lambda pepper: time_of(pepper.since),
    "in PEPPERS": lambda pepper: "yes" if pepper.in_environment else "no",
    "secrets": lambda pepper: f"{pepper.secrets:,}",
    "kept under no other": lambda pepper: f"{pepper.alone:,}",
    "recovery codes": lambda pepper: f"{pepper.recovery_codes:,}",
}


@app.command("list")
def list_peppers(*, as_json: AsJson = False) -> None:
    """List every pepper, its status, and the secrets under it."""
    _run(None, as_json=as_json)


@app.command()
def activate(
    number: Number,
    *,
    force: Annotated[bool, typer.Option("--force", help="Even if a process of the API lacks it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Activate a pepper for new secrets; every process of the API must have it in PEPPERS."""

    async def command(pool: Pool, _: PepperSet) -> ActivatePepper:
        from counterfoil.postgres.peppers import announced  # noqa: PLC0415 - client commands need no database

        processes = await announced(pool)
        lacking = sum(number not in peppers for peppers in processes)
        if lacking and not force:
            raise ended(
                REFUSED,
                f"{lacking} of {len(processes)} processes of the API lack pepper {number}: they could neither verify"
                " what the others keep under it, nor issue. Restart them with it in PEPPERS.",
            )
        return ActivatePepper(account=NIL, id=PEPPER_SET, by=SYSTEM, number=number)

    _run(command, as_json=as_json)


@app.command()
def retire(
    number: Number,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Even if valid secrets use it alone; they stop working.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Retire a pepper for good: it verifies no secret any more. Returns once every process knows."""

    async def command(pool: Pool, pepper_set: PepperSet) -> RetirePepper:
        from counterfoil.postgres.peppers import Left, left  # noqa: PLC0415 - client commands need no database

        found = (await left(pool, pepper_set.retired)).get(number, Left())
        return RetirePepper(
            account=NIL, id=PEPPER_SET, by=SYSTEM, number=number, left=found.alone + found.recovery_codes, force=force
        )

    _run(command, as_json=as_json, wait_seconds=SYNC_SECONDS)


def _run(command_for: CommandFor | None, *, as_json: bool, wait_seconds: float = 0) -> None:
    configured = settings("pepper")
    found = on_server(_execute(configured.database_url, Peppers(configured.peppers), command_for, wait_seconds))
    show_list(found, _PEPPERS, as_json=as_json)


async def _execute(url: str, peppers: Peppers, command_for: CommandFor | None, wait_seconds: float) -> list[Shown]:
    from counterfoil.door import Door  # noqa: PLC0415 - client commands need no door
    from counterfoil.postgres.connection import open_pool  # noqa: PLC0415 - likewise
    from counterfoil.postgres.peppers import Left, left, stored_pepper_set  # noqa: PLC0415 - likewise

    checks = peppers.checks()
    async with await open_pool(url, size=1) as pool:
        pepper_set = await stored_pepper_set(pool)
        if pepper_set is None:
            return []
        pepper_set.refuse_others({number: check for number, check in checks.items() if pepper_set.pepper(number)})
        if command_for is not None:
            async with Door(url) as door:
                outcome = await door.execute(await command_for(pool, pepper_set))
            pepper_set = outcome.state if isinstance(outcome.state, PepperSet) else pepper_set
            await asyncio.sleep(wait_seconds if outcome.facts else 0)
        found = await left(pool, pepper_set.retired)
        return [_shown(each, found.get(each.number, Left()), each.number in checks) for each in pepper_set.peppers]


def _shown(pepper: Pepper, left: Left, in_environment: bool) -> Shown:
    return Shown(
        number=pepper.number, status=pepper.status, since=pepper.at, in_environment=in_environment,
        secrets=left.secrets, alone=left.alone, recovery_codes=left.recovery_codes,
    )  # fmt: skip
