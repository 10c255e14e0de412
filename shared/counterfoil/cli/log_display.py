"""Show events of the log: as table rows, as lines, and as CSV rows that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Final

import msgspec

from counterfoil.cli.display import actor_of, fields_of, time_of
from counterfoil.cli.errors import printable
from counterfoil.cli.output import encodable, printable_json, say
from counterfoil.cli.tables import GrowingTable
from counterfoil.client import LogEvent

HEADS: Final = ("position", "at", "what", "of", "by", "says", "version")
_ID: Final = "token 00000000-0000-0000-0000-000000000000"
CSV_HEADS: Final = ("position", "at", "kind", "subject", "version", "type", "by", "data", "private")
Show = Callable[[Sequence[LogEvent]], None]
"""Prints events, in batches."""
_FORMULA: Final = ("=", "+", "-", "@")


def shown_until(head: int | None, *, as_json: bool) -> Show:
    """Return what prints events: with --json as lines, otherwise as a table whose last position is about `head`."""
    if as_json:
        return _say_lines
    like = (str(head or 0), "0000-00-00 00:00:00Z", "suspended", _ID, _ID, "", "10")
    table = GrowingTable(HEADS, like=[like])
    return lambda events: table.add(map(_row, events))


def _say_lines(events: Sequence[LogEvent]) -> None:
    narrow = not encodable("\N{ROCKET}")
    say("".join(f"{printable_json(event.line.decode(errors='replace'), ascii_alone=narrow)}\n" for event in events))


def _row(event: LogEvent) -> tuple[str, ...]:
    private = event.private.fields if event.private else {}
    return (
        str(event.position), time_of(event.at), event.type, f"{event.kind} {event.subject}", actor_of(event.by),
        fields_of({**event.data, **private}), str(event.version),
    )  # fmt: skip


def csv_row(event: LogEvent) -> str:
    """Return an event as one line of CSV, without its end."""
    return csv_line((
        str(event.position), event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"), event.kind,
        str(event.subject), str(event.version), event.type, f"{event.by.kind}:{event.by.id}",
        printable_json(msgspec.json.encode(event.data).decode()),
        printable_json(event.private.text) if event.private else "",
    ))  # fmt: skip


def csv_line(cells: Sequence[str]) -> str:
    """Return cells as one line of CSV, in which none is a formula and none has a line break."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([_harmless(printable(cell).replace("\n", "\\n")) for cell in cells])
    return line.getvalue()


def _harmless(cell: str) -> str:
    """Return a cell that a spreadsheet takes for text: a formula gets an apostrophe in front."""
    # Full-width and small forms too: spreadsheets of East Asian languages take them for the narrow ones.
    begins = unicodedata.normalize("NFKC", cell.lstrip()[:1])
    return f"'{cell}" if begins.startswith(_FORMULA) else cell
