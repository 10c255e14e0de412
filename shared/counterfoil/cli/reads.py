"""`counterfoil reads`: who read which tokens, and the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import typer

from counterfoil.cli.display import actor_of, time_of
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.options import WHOSE, Limit, Since, Until
from counterfoil.cli.tables import Columns
from counterfoil.client.documents import LogRange, Reading


def reads(
    *,
    reader: Annotated[str | None, typer.Option(help=WHOSE)] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    ledger: Ledger,
) -> None:
    """Show who read tokens of others, or the log, the latest first."""
    ledger.list(lambda api, most: api.reads(reader=reader, since=since, until=until, limit=most), _READS, limit)


def _counted(calls: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count}" for what, count in sorted(calls.items()))


def _range(log: LogRange | None) -> str:
    """Return the positions and, unless each call read all of them, the filters: `1 to 500 (none 1, type 2)`."""
    if log is None:
        return ""
    positions = f"{log.first} to {log.last}" if log.first <= log.last else "none"
    return positions if log.filters.keys() <= {"none"} else f"{positions} ({_counted(log.filters)})"


_READS: Final[Columns[Reading]] = {
    "at": lambda read: time_of(read.at),
    "reader": lambda read: actor_of(read.reader),
    "calls": lambda read: _counted(read.calls),
    "rows": lambda read: str(read.rows),
    "positions": lambda read: _range(read.log),
    "tokens by name": lambda read: " ".join(map(str, read.tokens)),
}
