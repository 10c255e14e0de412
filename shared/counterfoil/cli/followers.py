"""`counterfoil followers`: the position of each follower of the log, on the server (DATABASE_URL)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from counterfoil.cli.display import span, time_of
from counterfoil.cli.errors import REFUSED, ended, on_server, settings
from counterfoil.cli.options import AsJson
from counterfoil.cli.output import say, say_json
from counterfoil.cli.tables import Columns, show_list

if TYPE_CHECKING:
    from counterfoil.postgres.followers import FollowerState

app = typer.Typer(help="Followers of the log, on the server itself (DATABASE_URL).", no_args_is_help=True)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A follower as commands print it; the next event happened `waiting_seconds` ago, if there is one."""

    name: str
    status: str
    lag: int
    position: int
    head: int
    moved_at: datetime
    moved_seconds: float
    waiting_seconds: float | None


@app.command("list")
def list_followers(*, as_json: AsJson = False) -> None:
    """List every follower, its position in the log, and how many events it has not handled."""
    configured = settings("followers")
    found = on_server(_found(configured.database_url))
    show_list(map(_shown, found), _FOLLOWERS, as_json=as_json)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The follower's name, as `counterfoil followers list` shows it.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove the position of a follower that no longer exists. An existing one starts over."""
    configured = settings("followers")
    if not yes:
        typer.confirm(
            f"The position of {name!r} is lost. If a worker still runs it, it begins again. Go on?",
            abort=True,
            err=True,
        )
    if not on_server(_removed(configured.database_url, name)):
        raise ended(REFUSED, f"there is no follower {name!r}; `counterfoil followers list` shows what there is.")
    if as_json:
        say_json({"removed": name})
    else:
        say(f"removed {name}\n")


async def _found(url: str) -> list[FollowerState]:
    from counterfoil.postgres.connection import open_pool  # noqa: PLC0415 - client commands need no database
    from counterfoil.postgres.followers import follower_states  # noqa: PLC0415 - likewise

    async with await open_pool(url, size=1) as pool:
        return await follower_states(pool)


async def _removed(url: str, name: str) -> bool:
    from counterfoil.postgres import followers as sql  # noqa: PLC0415 - client commands need no database
    from counterfoil.postgres.connection import open_pool  # noqa: PLC0415 - likewise

    async with await open_pool(url, size=1) as pool:
        return await sql.forget(pool, name)


def _shown(found: FollowerState) -> Shown:
    return Shown(
        name=found.name, status=found.status, lag=found.lag, position=found.position, head=found.head,
        moved_at=found.moved_at, moved_seconds=round(found.moved_seconds, 3),
        waiting_seconds=None if found.waiting_seconds is None else round(found.waiting_seconds, 3),
    )  # fmt: skip


def _ago(seconds: float | None) -> str:
    return "" if seconds is None else span(timedelta(seconds=seconds))


_FOLLOWERS: Final[Columns[Shown]] = {
    "follower": lambda follower: follower.name,
    "status": lambda follower: follower.status,
    "lag": lambda follower: f"{follower.lag:,}",
    "waiting for": lambda follower: _ago(follower.waiting_seconds),
    "position": lambda follower: f"{follower.position:,}",
    "log ends at": lambda follower: f"{follower.head:,}",
    "last moved": lambda follower: f"{time_of(follower.moved_at)} ({_ago(follower.moved_seconds)} ago)",
}
