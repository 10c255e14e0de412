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
for command in (
    *(login.login, whoami.whoami, reads.reads, attempts.attempts, report_leak.report_leak, dialects.dialects),
    *(processes.migrate, processes.api, processes.worker, processes.sealer),
):
    app.command()(command)
app.add_typer(alerts.app, name="alerts")
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


@app.callback(invoke_without_command=True)
def _root(*, show_version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if show_version:
        say(version("counterfoil") + "\n")
        raise typer.Exit
