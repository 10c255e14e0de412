"""Every command by its name."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from counterfoil.cli import (
    account_commands,
    account_setup,
    alerts,
    attempts,
    audit,
    catalogue,
    dialects,
    events,
    followers,
    keys,
    login,
    owner_quotas,
    pepper,
    processes,
    reads,
    report_leak,
    subscription,
    token,
    user,
    whoami,
)
from counterfoil.cli.commands import Commands
from counterfoil.cli.output import say

# Pretty tracebacks print local variables, and secrets among them.
app = Commands(
    name="counterfoil",
    help="The ledger of your API tokens. Exit codes: 0 ok, 1 refused, 2 usage, 3 unreachable, 4 done but not shown.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(token.app, name="token")
app.add_typer(user.app, name="user")
app.command()(login.login)
app.command()(whoami.whoami)
app.add_typer(alerts.app, name="alerts")
app.command()(reads.reads)
app.command()(attempts.attempts)
app.command()(report_leak.report_leak)
app.command()(dialects.dialects)
app.command()(processes.migrate)
app.command()(processes.api)
app.command()(processes.worker)
app.command()(processes.sealer)
app.add_typer(events.app, name="events")
app.add_typer(account_setup.app, name="account")
account_setup.app.command()(account_commands.show)
account_setup.app.command()(account_commands.update)
account_setup.app.command()(account_commands.events)
account_setup.app.command()(account_commands.end_secrets)
app.add_typer(catalogue.app, name="scope")
app.add_typer(catalogue.sets, name="scope-set")
app.add_typer(owner_quotas.app, name="owner-quota")
app.add_typer(subscription.app, name="subscription")
app.add_typer(keys.app, name="keys")
app.add_typer(pepper.app, name="pepper")
app.add_typer(audit.app, name="audit")
app.add_typer(followers.app, name="followers")


def _version(*, asked: bool) -> None:
    if asked:
        say(version("counterfoil") + "\n")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _shown: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda asked: _version(asked=asked), is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    pass
