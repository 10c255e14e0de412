"""`counterfoil reads`: who read which tokens, and the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from counterfoil.cli.display import actor_of, time_of
from counterfoil.cli.lists import listed
from counterfoil.cli.options import WHOSE, AsJson, Credentials, Limit, Since, Until
from counterfoil.cli.tables import table
from counterfoil.client.documents import LogRange, Reading


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
    """Show who read tokens of others, or the log, the latest first."""
    listed(
        lambda ledger, most: ledger.reads(reader=reader, since=since, until=until, limit=most),
        _show,
        limit,
        credentials,
        as_json=as_json,
    )


def _show(reads: Sequence[Reading]) -> None:
    table(
        ("at", "reader", "calls", "rows", "positions", "tokens by name"),
        (
            (
                time_of(each.at),
                actor_of(each.reader),
                _counted(each.calls),
                str(each.shown),
                _range(each.log),
                _tokens(each),
            )
            for each in reads
        ),
    )


def _counted(calls: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count}" for what, count in sorted(calls.items()))


def _range(log: LogRange | None) -> str:
    """Return the positions and, unless each call read all of them, the filters: `1 to 500 (none 1, type 2)`."""
    if log is None:
        return ""
    positions = f"{log.first} to {log.last}" if log.first <= log.last else "none"
    return positions if log.filters.keys() <= {"none"} else f"{positions} ({_counted(log.filters)})"


def _tokens(reading: Reading) -> str:
    return " ".join(map(str, reading.tokens))
