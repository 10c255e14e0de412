"""`counterfoil reads`: who only looked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from counterfoil.client.reads import Reading

from .options import WHOSE, AsJson, Credentials, Limit, Since, Until
from .reading import listed
from .showing import actor_of, time_of
from .tables import table


def reads(
    *,
    reader: Annotated[
        str | None,
        typer.Option(help=WHOSE),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Show who has read tokens that are not their own, or the log, the latest first."""
    listed(
        lambda ledger, most: ledger.reads(reader=reader, since=since, until=until, limit=most),
        _show,
        limit,
        credentials,
        as_json=as_json,
    )


def _show(reads: Sequence[Reading]) -> None:
    table(
        ("at", "reader", "calls", "rows", "tokens by name"),
        ((time_of(each.at), actor_of(each.reader), _calls(each), str(each.shown), _tokens(each)) for each in reads),
    )


def _calls(reading: Reading) -> str:
    return ", ".join(f"{what} {count}" for what, count in sorted(reading.calls.items()))


def _tokens(reading: Reading) -> str:
    return " ".join(map(str, reading.tokens))
