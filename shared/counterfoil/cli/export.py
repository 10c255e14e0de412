"""An export: append the log to a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import typer

from counterfoil.cli.calls import ask
from counterfoil.cli.errors import UNREACHABLE, ended, printable, remark
from counterfoil.cli.export_file import ExportFile
from counterfoil.client import Client

_AT_ONCE: Final = 1 << 16
"""Bytes in one write."""
_AGAIN: Final = "The same command goes on where the file ends."


class Exported(NamedTuple):
    """How many events were appended, and the position up to which the file has the log."""

    added: int
    head: int


def exported(file: ExportFile, credentials: Path | None, *, as_json: bool) -> Exported:
    """Append the events that the file lacks; after an interruption, print how to continue."""
    try:
        return ask(lambda ledger: _added(ledger, file), credentials=credentials, as_json=as_json)
    except KeyboardInterrupt:
        raise ended(UNREACHABLE, f"interrupted: {file.path} is incomplete.", advice=_AGAIN) from None
    except typer.Exit as failed:
        if failed.exit_code == UNREACHABLE and not as_json:
            remark(printable(f"  {file.path} is incomplete. {_AGAIN}"))
        raise


async def _added(ledger: Client, file: ExportFile) -> Exported:
    # The last event is asked for once more: it shows whether this is the log that the file is from.
    log = file.query.read(ledger, after=max(0, file.position - 1))
    events = aiter(log)
    if file.position:
        file.refuse_unless_last(await anext(events, None))
    added, waiting = 0, bytearray()
    with _bar(file.position) as moved:
        try:
            async for event in events:
                waiting += file.line(event)
                added += 1
                if len(waiting) >= _AT_ONCE:
                    file.write(bytes(waiting))
                    waiting.clear()
                    moved(event.position, log.head)
        finally:
            file.write(bytes(waiting))
        file.sync()
    return Exported(added, log.position or 0)


@contextmanager
def _bar(begins: int) -> Iterator[Callable[[int, int | None], None]]:
    """Show the progress through the log on stderr, if that is a terminal."""
    from rich.console import Console  # noqa: PLC0415 - not every command has a bar
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("exporting", total=None, completed=begins)
        yield lambda position, head: progress.update(task, completed=position, total=head)
