"""`counterfoil attempts`: failed logins and refused calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from counterfoil.cli.display import actor_of, time_of
from counterfoil.cli.lists import listed
from counterfoil.cli.options import WHOSE, AsJson, Credentials, Limit, Since, Until
from counterfoil.cli.tables import table
from counterfoil.client.documents import Attempt


def attempts(
    *,
    kind: Annotated[
        str | None, typer.Option(help="Only attempts of this kind, such as token-expired or login-failed.")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(help=WHOSE),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Show failed logins and refused calls, by the minute, the latest first."""
    listed(
        lambda ledger, most: ledger.attempts(kind=kind, subject=subject, since=since, until=until, limit=most),
        _show,
        limit,
        credentials,
        as_json=as_json,
    )


def _show(attempts: Sequence[Attempt]) -> None:
    table(
        ("minute", "kind", "times", "token or user", "network"),
        ((time_of(each.minute), each.kind, str(each.count), _whose(each), each.network) for each in attempts),
    )


def _whose(attempt: Attempt) -> str:
    return actor_of(attempt.named) if attempt.named else str(attempt.subject or "-")
