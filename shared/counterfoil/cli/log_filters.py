"""The options that choose events of the log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
import typer

from counterfoil.cli.commands import Options
from counterfoil.cli.completion import token_refs, user_refs
from counterfoil.cli.options import WHOSE, Since, Until
from counterfoil.client import Client, LogReader, spelling
from counterfoil.core import moments
from counterfoil.core.duration import length


class LogFilters(Options, frozen=True, kw_only=True):
    """The events that a command is about."""

    token: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", help="Only of this token: its number or id.", autocompletion=token_refs),
    ] = None
    user: Annotated[
        str | None,
        typer.Option(metavar="USER", help="Only of this user: number, e-mail address or id.", autocompletion=user_refs),
    ] = None
    subject: Annotated[str | None, typer.Option(metavar="ID", help="Only of what has this id.")] = None
    kind: Annotated[str | None, typer.Option(help="Only of such subjects: token, user, account …")] = None
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Only such events: created, rotated …; may be repeated.")
    ] = None
    actor: Annotated[str | None, typer.Option(help=f"By whom. {WHOSE}")] = None
    since: Since = None
    until: Until = None
    all_accounts: Annotated[
        bool, typer.Option("--all-accounts", help="The whole log, for the operator of the installation alone.")
    ] = False

    def read(self, ledger: Client, *, after: int | Literal["latest"], follow: bool = False) -> LogReader:
        """Return a reader of the matching events."""
        return ledger.events(
            after=after, follow=follow, token=self.token, user=self.user, subject=self.subject, kind=self.kind,
            types=self.types or (), actor=self.actor, since=self.since, until=self.until,
            accounts="all" if self.all_accounts else None,
        )  # fmt: skip

    def at(self, now: datetime) -> LogFilters:
        """Return the same filters with moments in place of durations, so that a later reading has the same range."""
        return msgspec.structs.replace(self, since=_moment(self.since, now), until=_moment(self.until, now))


def _moment(stated: str | None, now: datetime) -> str | None:
    if stated is None or isinstance(moment := moments.read(stated), datetime):
        return stated
    return spelling.text(now - length(moment))
