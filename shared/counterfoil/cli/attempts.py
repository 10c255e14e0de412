"""`counterfoil attempts`: failed logins and refused calls."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from counterfoil.cli.display import actor_of, time_of
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.options import WHOSE, Limit, Since, Until
from counterfoil.cli.tables import Columns
from counterfoil.client.documents import Attempt

_ATTEMPTS: Final[Columns[Attempt]] = {
    "minute": lambda attempt: time_of(attempt.minute),
    "kind": lambda attempt: attempt.kind,
    "times": lambda attempt: str(attempt.count),
    "token or user": lambda attempt: actor_of(attempt.named) if attempt.named else str(attempt.subject or "-"),
    "network": lambda attempt: attempt.network,
}


def attempts(
    *,
    kind: Annotated[
        str | None, typer.Option(help="Only attempts of this kind, such as token-expired or login-failed.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help=WHOSE)] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    ledger: Ledger,
) -> None:
    """Show failed logins and refused calls, by the minute, the latest first."""
    ledger.list(
        lambda api, most: api.attempts(kind=kind, subject=subject, since=since, until=until, limit=most),
        _ATTEMPTS,
        limit,
    )
