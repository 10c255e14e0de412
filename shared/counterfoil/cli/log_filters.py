"""The options by which events of the log are chosen, and the reading that they ask for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
import typer

from counterfoil.cli.completion import token_refs, user_refs
from counterfoil.cli.options import WHOSE
from counterfoil.client import Client, LogReader, spelling
from counterfoil.core import moments
from counterfoil.core.duration import length

OfToken = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", help="Only of this token: its number or id.", autocompletion=token_refs),
]
OfUser = Annotated[
    str | None,
    typer.Option(
        "--user", metavar="USER", help="Only of this user: number, e-mail address or id.", autocompletion=user_refs
    ),
]
OfSubject = Annotated[str | None, typer.Option("--subject", metavar="ID", help="Only of what has this id.")]
OfKind = Annotated[str | None, typer.Option("--kind", help="Only of such subjects: token, user, account …")]
OfType = Annotated[
    list[str] | None, typer.Option("--type", help="Only such events: created, rotated …; may be repeated.")
]
ByActor = Annotated[str | None, typer.Option("--actor", help=f"By whom. {WHOSE}")]
AllAccounts = Annotated[
    bool, typer.Option("--all-accounts", help="The whole log, for the operator of the installation alone.")
]


class LogFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are asked for."""

    token: str | None
    user: str | None
    subject: str | None
    kind: str | None
    types: tuple[str, ...]
    actor: str | None
    since: str | None
    until: str | None
    all_accounts: bool

    def read(self, ledger: Client, *, after: int | Literal["latest"], follow: bool = False) -> LogReader:
        """Return the reading."""
        return ledger.events(
            after=after, follow=follow, token=self.token, user=self.user, subject=self.subject, kind=self.kind,
            types=self.types, actor=self.actor, since=self.since, until=self.until,
            accounts="all" if self.all_accounts else None,
        )  # fmt: skip

    def at(self, now: datetime) -> LogFilters:
        """Return the same with moments in place of durations, which mean another moment at each reading."""
        return msgspec.structs.replace(self, since=_moment(self.since, now), until=_moment(self.until, now))


def _moment(stated: str | None, now: datetime) -> str | None:
    if stated is None or isinstance(moment := moments.read(stated), datetime):
        return stated
    return spelling.text(now - length(moment))


def chosen(
    *,
    token: str | None,
    user: str | None,
    subject: str | None,
    kind: str | None,
    types: list[str] | None,
    actor: str | None,
    since: datetime | str | None,
    until: datetime | str | None,
    all_accounts: bool,
) -> LogFilters:
    """Return what the options of a command say."""
    return LogFilters(
        token=token, user=user, subject=subject, kind=kind, types=tuple(types or ()), actor=actor,
        since=None if since is None else spelling.text(since), until=None if until is None else spelling.text(until),
        all_accounts=all_accounts,
    )  # fmt: skip
