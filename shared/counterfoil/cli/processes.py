"""The processes of the service, and the migration of their database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlsplit

import typer

from counterfoil.cli.errors import REFUSED, UNREACHABLE, USAGE, ended, on_database, on_server, settings
from counterfoil.cli.output import say
from counterfoil.core.refusals import Misconfigured

if TYPE_CHECKING:
    from counterfoil.settings import Settings


def migrate() -> None:
    """Migrate the database to this version (MIGRATE_DATABASE_URL), and grant the role in DATABASE_URL its rights."""
    from counterfoil.postgres.grants import UnknownRole  # noqa: PLC0415 - each command loads what it needs
    from counterfoil.postgres.migrate import DatabaseAhead, EditedMigration, TableHeld  # noqa: PLC0415 - likewise
    from counterfoil.postgres.migrate import migrate as apply  # noqa: PLC0415 - likewise

    configured = settings("migrate")
    try:
        names = on_server(apply(configured.migrate_database_url, app_role=_role(configured.database_url)))
    except (EditedMigration, DatabaseAhead, TableHeld, UnknownRole) as error:
        raise ended(REFUSED, str(error)) from None
    say("".join(f"applied {name}\n" for name in names) or "nothing to apply\n")


def _role(url: str) -> str | None:
    name = urlsplit(url).username
    return unquote(name) if name else None


def api() -> None:
    """Serve the HTTP API until a signal stops it."""
    from counterfoil_api.main import run  # noqa: PLC0415 - the service is not needed for other commands

    _run(run, settings("api"))


def worker() -> None:
    """Run the worker, which announces expiries and does bulk revocations."""
    from counterfoil_worker.main import run  # noqa: PLC0415 - the service is not needed for other commands

    _run(run, settings("worker"))


def sealer(
    *,
    check: Annotated[bool, typer.Option("--check", help="Only check that the log is being sealed.")] = False,
) -> None:
    """Seal the log: give every committed event its position. Of several sealers one works, the others stand by."""
    from counterfoil.postgres.placing import LogBroken  # noqa: PLC0415 - each command loads what it needs
    from counterfoil.uses.seal_log import run  # noqa: PLC0415 - likewise

    configured = settings("sealer")
    if check:
        _check_sealing(configured.database_url)
        return
    try:
        _run(run, configured)
    except LogBroken as error:
        raise ended(REFUSED, str(error)) from None


def _run(process: Callable[[Settings], None], configured: Settings) -> None:
    try:
        process(configured)
    except Misconfigured as error:
        raise ended(USAGE, error.detail) from None


def _check_sealing(url: str) -> None:
    from counterfoil.postgres.log_state import log_state  # noqa: PLC0415 - each command loads what it needs

    state = on_database(url, log_state)
    if state.silence:
        raise ended(UNREACHABLE, state.silence)
    say(f"sealed up to position {state.size}; the sealer last reported {state.silent_seconds:.0f} s ago\n")
