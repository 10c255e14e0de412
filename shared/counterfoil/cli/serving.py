"""The processes of the service, and what prepares their database."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote, urlsplit

from counterfoil.refusals import Misconfigured

from .complaints import REFUSED, USAGE, database_at_hand, ended, settings
from .output import say


def migrate() -> None:
    """Bring the database up to this code (MIGRATE_DATABASE_URL) and grant the role in DATABASE_URL its rights."""
    from counterfoil.postgres.grants import UnknownRole  # noqa: PLC0415 - each command loads what it needs
    from counterfoil.postgres.migrate import DatabaseAhead, EditedMigration, TableHeld  # noqa: PLC0415 - likewise
    from counterfoil.postgres.migrate import migrate as apply  # noqa: PLC0415 - likewise

    told = settings("migrate")
    try:
        with database_at_hand():
            names = asyncio.run(apply(told.migrate_database_url, app_role=_role(told.database_url)))
    except (EditedMigration, DatabaseAhead, TableHeld, UnknownRole) as error:
        raise ended(REFUSED, str(error)) from None
    say("".join(f"applied {name}\n" for name in names) or "nothing to apply\n")


def _role(url: str) -> str | None:
    name = urlsplit(url).username
    return unquote(name) if name else None


def api() -> None:
    """Serve the HTTP API until asked to stop."""
    from counterfoil_api.main import run  # noqa: PLC0415 - the service is not needed for other commands

    try:
        run(settings("api"))
    except Misconfigured as complaint:
        raise ended(USAGE, complaint.detail) from None


def worker() -> None:
    """Run the worker: expiry sweeps and the clock behind them."""
    from counterfoil_worker.main import run  # noqa: PLC0415 - the service is not needed for other commands

    try:
        run(settings("worker"))
    except Misconfigured as complaint:
        raise ended(USAGE, complaint.detail) from None
