"""Tables that fit the terminal: the most important column is left, and no id is wrapped."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Final, TypeVar

from counterfoil.cli.errors import printable, remark
from counterfoil.cli.output import encodable, json_of, say

T = TypeVar("T")
Columns = Mapping[str, Callable[[T], str]]
"""The columns of a table by their heads, each with the function from an item to its cell."""

_GAP: Final = 2
_LONGEST: Final = 64
"""Words up to this length are never wrapped; an id has 36 characters, a signing key's 43."""
# Lines break only between times, ids, words and short remarks such as "(in 90 d)".
_PIECE: Final = re.compile(
    rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ|\([^()]{{1,16}}\)|[\w.:*@+-]{{1,{_LONGEST}}}[,;]?|\s+|."
)


def show_list(items: Iterable[T], columns: Columns[T], *, as_json: bool) -> None:
    """Print items as a table, or with --json one a line."""
    if as_json:
        say("".join(json_of(item) + "\n" for item in items))
    else:
        table(tuple(columns), ([cell(item) for cell in columns.values()] for item in items))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their heads, or without a terminal, plain rows with tabs between the cells.

    In a narrow terminal columns are kept from the left; those that do not fit are left out, and a message names them.
    """
    GrowingTable(heads).add(rows)


class GrowingTable:
    """A table whose rows arrive in parts; the first rows, or `like`, set the widths of its columns."""

    def __init__(self, heads: Sequence[str], *, like: Sequence[Sequence[str]] = ()) -> None:
        self._heads = heads
        self._like = like
        self._width = width()
        self._columns: dict[int, int] = {}
        """The columns that are shown, and their widths."""

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Print more rows, the first ones under their heads."""
        cells = [[printable(cell).replace("\n", "\\n") for cell in row] for row in rows]
        if self._width is None:
            say("".join("\t".join(row) + "\n" for row in cells))
            return
        begins = not self._columns
        head = self._begin(cells, self._width) if begins else []
        say("".join(f"{line}\n" for line in [*head, *(line for row in cells for line in self._lines(row))]))
        if begins and (left_out := [name for index, name in enumerate(self._heads) if index not in self._columns]):
            remark(f"Left out at {self._width} columns: {', '.join(left_out)}. A wider terminal or --json shows them.")

    def _begin(self, cells: Sequence[Sequence[str]], width: int) -> list[str]:
        columns = list(zip(self._heads, *self._like, *cells, strict=True))
        kept = _fitting(columns, width)
        self._columns = dict(zip(kept, _widths([columns[index] for index in kept], width), strict=True))
        rule = "─" if encodable("─") else "-"
        return [*self._lines(self._heads), rule * (sum(self._columns.values()) + _GAP * (len(kept) - 1))]

    def _lines(self, row: Sequence[str]) -> list[str]:
        return _lines([row[index] for index in self._columns], [*self._columns.values()])


def width() -> int | None:
    """Return the width of the output; None if neither COLUMNS nor a terminal states it."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return int(columns)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _fitting(columns: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the columns that fit, from the left; the first one always does."""
    kept, used = [0], _narrowest(columns[0])
    for index, column in enumerate(columns[1:], start=1):
        if (needed := used + _GAP + _narrowest(column)) <= width:
            kept.append(index)
            used = needed
    return kept


def _widths(columns: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the width of each column; the widest are narrowed first until all fit."""
    widths = [max(map(_cells, column)) for column in columns]
    least = [_narrowest(column) for column in columns]
    over = sum(widths) + _GAP * (len(widths) - 1) - width
    while over > 0 and (wide := [i for i in range(len(widths)) if widths[i] > least[i]]):
        widest = max(wide, key=lambda i: widths[i])
        widths[widest] -= 1
        over -= 1
    return widths


def _narrowest(column: Sequence[str]) -> int:
    return max((_cells(piece) for cell in column for piece in _PIECE.findall(cell)), default=0)


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    wrapped = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    return [
        (" " * _GAP).join(_padded(part, width) for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in zip_longest(*wrapped, fillvalue="")
    ]


def _wrapped(cell: str, width: int) -> list[str]:
    lines, line = [], ""
    for piece in _PIECE.findall(cell):
        if line and _cells(line) + _cells(piece) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece if line or not piece.isspace() else ""
    return [*lines, line.rstrip()]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _cells(text))


def _cells(text: str) -> int:
    """Return the terminal columns that the text takes; some characters take two, some none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - most tables need not wait for it

    return cell_len(text)
