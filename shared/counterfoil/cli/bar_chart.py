"""A bar chart of plain text that fits the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from counterfoil.cli.errors import printable
from counterfoil.cli.output import encodable, say
from counterfoil.cli.tables import width

_NARROWEST: Final = 10
"""The least length of the longest bar, in columns."""
_WIDEST: Final = 60


class Bar(NamedTuple):
    """One line of the chart: its label, the length of its bar, the part of that which is full, and a note."""

    label: str
    total: int
    full: int
    note: str


def show_bars(bars: Sequence[Bar], *, heads: Sequence[str]) -> None:
    """Print bars below a line that explains them, or without a terminal, plain rows with tabs between the cells.

    `heads` name the label, the total, the full part and the note. A note that does not fit is cut.
    """
    columns = width()
    if columns is None:
        say("".join(f"{bar.label}\t{bar.total}\t{bar.full}\t{printable(bar.note)}\n" for bar in bars))
        return
    full, rest = ("█", "░") if encodable("█░") else ("#", "-")
    _, total, part, note = heads
    legend = f"{full} {part}  {rest} not {part}; {total} ({part}); {note}"
    most = max(bar.total for bar in bars)
    lines = [_line(bar, most, columns, full + rest) for bar in bars]
    say("".join(f"{line[:columns].rstrip()}\n" for line in [legend, *lines]))


def _line(bar: Bar, most: int, columns: int, marks: str) -> str:
    counts = f"{bar.total:,} ({bar.full:,})"
    widest = f"{most:,} ({most:,})"
    room = min(_WIDEST, max(_NARROWEST, (columns - len(bar.label) - len(widest) - 4) // 2))
    length = max(1, round(bar.total * room / most)) if bar.total else 0
    full = max(1, round(bar.full * length / bar.total)) if bar.full else 0
    drawn = (marks[0] * full + marks[1] * (length - full)).ljust(room)
    return f"{bar.label}  {drawn}  {counts:<{len(widest)}}  {printable(bar.note)}"
