"""`counterfoil followers`: the position of each follower of the log, on the server (DATABASE_URL)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from counterfoil.cli.display import span, time_of
from counterfoil.cli.errors import REFUSED, ended, on_database, settings
from counterfoil.cli.options import AsJson
from counterfoil.cli.output import say, say_json
from counterfoil.cli.tables import Columns, show_list

if TYPE_CHECKING:
    from counterfoil.postgres.followers import FollowerState

app = typer.Typer(help="Followers of the log, on the server itself (DATABASE_URL).", no_args_is_help=True)


@app.command("list")
def list_followers(*, as_json: AsJson = False) -> None:
    """List every follower, its position in the log, and how many events it has not handled."""
    from counterfoil.postgres.followers import follower_states  # noqa: PLC0415 - client commands need no database

    found = on_database(settings("followers").database_url, follower_states)
    if not as_json:
        show_list(found, _FOLLOWERS, as_json=False)
        return
    for each in found:
        say_json({"status": each.status, "lag": each.lag, **msgspec.structs.asdict(each)})


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The follower's name, as `counterfoil followers list` shows it.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove the position of a follower that no longer exists. An existing one starts over."""
    from counterfoil.postgres.followers import forget  # noqa: PLC0415 - client commands need no database

    configured = settings("followers")
    if not yes:
        typer.confirm(
            f"The position of {name!r} is lost. If a worker still runs it, it begins again. Go on?",
            abort=True,
            err=True,
        )
    if not on_database(configured.database_url, lambda pool: forget(pool, name)):
        raise ended(REFUSED, f"there is no follower {name!r}; `counterfoil followers list` shows what there is.")
    if as_json:
        say_json({"removed": name})
    else:
        say(f"removed {name}\n")


def _ago(seconds: float | None) -> str:
    return "" if seconds is None else span(timedelta(seconds=seconds))


_FOLLOWERS: Final[Columns[FollowerState]] = {
    "follower": lambda follower: follower.name,
    "status": lambda follower: follower.status,
    "lag": lambda follower: f"{follower.lag:,}",
    "waiting for": lambda follower: _ago(follower.waiting_seconds),
    "position": lambda follower: f"{follower.position:,}",
    "log ends at": lambda follower: f"{follower.head:,}",
    "last moved": lambda follower: f"{time_of(follower.moved_at)} ({_ago(follower.moved_seconds)} ago)",
}
