"""Commands that only read: the list of tokens, one token, and its events."""

from __future__ import annotations

from typing import Annotated

import typer

from counterfoil.cli.ledger import Ledger
from counterfoil.cli.options import Limit, Ref, moment_or_version, time_filter
from counterfoil.cli.token_display import EVENTS, TOKENS
from counterfoil.cli.token_filters import TokenFilters


def tokens(
    *,
    filters: TokenFilters,
    status: Annotated[str | None, typer.Option(help="active, suspended, expired or revoked.")] = None,
    owner_type: Annotated[
        str | None, typer.Option(help="Only tokens of users, applications or services: user, application or service.")
    ] = None,
    last_used_after: Annotated[str | None, time_filter("--last-used-after", "From then on; 7d: within 7 days.")] = None,
    last_used_before: Annotated[
        str | None, time_filter("--last-used-before", "Before then; 7d: over 7 days ago.")
    ] = None,
    sort: Annotated[
        str, typer.Option(help="created, name, expires, updated, last_used or number; - reverses.")
    ] = "created",
    limit: Limit = None,
    ledger: Ledger,
) -> None:
    """List tokens. Secrets are never shown."""
    query = filters.stated(
        status=status, owner_type=owner_type, last_used_after=last_used_after, last_used_before=last_used_before
    )
    ledger.list(lambda api, most: api.list(limit=most, sort=sort, **query), TOKENS, limit)


def token(
    ref: Ref,
    *,
    as_of: Annotated[str | None, typer.Option(help="A past moment, or a version.")] = None,
    ledger: Ledger,
) -> None:
    """Show a token as it is, or as it was."""
    when = None if as_of is None else moment_or_version(as_of)
    ledger.show_token(lambda api: api.get(ref, as_of=when))


def events(ref: Ref, *, limit: Limit = None, ledger: Ledger) -> None:
    """Show the events of a token, in order."""
    ledger.list(lambda api, most: api.token_events(ref, limit=most), EVENTS, limit)
