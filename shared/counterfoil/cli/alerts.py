"""`counterfoil alerts`: which tokens expire soon, and what breaks then."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from counterfoil.cli import expiry_forecast, options
from counterfoil.cli.commands import Commands
from counterfoil.cli.errors import warn
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.options import CreatorFilter, Limit, OwnerFilter, span
from counterfoil.cli.token_display import ALERTS

app = Commands(help="Tokens that expire soon, or have expired.", invoke_without_command=True)
app.command()(expiry_forecast.forecast)
app.command()(expiry_forecast.spread)


@app.callback()
def alerts(
    *,
    context: typer.Context,
    within: Annotated[
        str | None,
        typer.Option(
            parser=span,
            metavar="DURATION",
            help="All tokens that expire within this time, such as 7d, with or without a notice.",
        ),
    ] = None,
    owner: OwnerFilter = None,
    creator: CreatorFilter = None,
    used: Annotated[
        bool | None, typer.Option("--used/--unused", help="Only tokens that were used within 7 days, or that were not.")
    ] = None,
    limit: Limit = None,
    ledger: Ledger,
) -> None:
    """Show which tokens expire soon or expired within 30 days, and which previous secrets end while in use.

    The most urgent come first. A notice is raised only if the token's lifetime is longer. Without --within, a line on
    stderr counts the tokens that expire within a day without a notice.
    """
    if context.invoked_subcommand is not None:
        return
    whose = options.owner(owner)
    expiry_forecast.warn_of_cliffs(ledger.ask(lambda api: api.forecast(owner=whose, creator=creator)))
    ledger.list(
        lambda api, most: api.alerts(within=within, owner=whose, creator=creator, used=used, limit=most), ALERTS, limit
    )
    if within is None and (more := ledger.ask(lambda api: api.unannounced(owner=whose, creator=creator))):
        same = "".join(
            f" --{name} {shlex.quote(value)}" for name, value in (("owner", owner), ("creator", creator)) if value
        )
        warn(
            f"{more:,} tokens expire within a day without a notice; see them with: counterfoil alerts --within 1d{same}"
        )
