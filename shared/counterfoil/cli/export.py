"""An export: append the log to a file."""

from __future__ import annotations

from typing import Final, NamedTuple

import typer

from counterfoil.cli.errors import UNREACHABLE, ended, printable, remark
from counterfoil.cli.export_file import ExportFile
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.progress import progress
from counterfoil.client import Client

_AT_ONCE: Final = 1 << 16
"""Bytes in one write."""
_AGAIN: Final = "The same command goes on where the file ends."


class Exported(NamedTuple):
    """How many events were appended, and the position up to which the file has the log."""

    added: int
    head: int


def exported(file: ExportFile, ledger: Ledger) -> Exported:
    """Append the events that the file lacks; after an interruption, print how to continue."""
    try:
        return ledger.ask(lambda api: _added(api, file))
    except KeyboardInterrupt:
        raise ended(UNREACHABLE, f"interrupted: {file.path} is incomplete.", advice=_AGAIN) from None
    except typer.Exit as failed:
        if failed.exit_code == UNREACHABLE and not ledger.as_json:
            remark(printable(f"  {file.path} is incomplete. {_AGAIN}"))
        raise


async def _added(api: Client, file: ExportFile) -> Exported:
    # Request the last event again: it shows whether the file comes from this log.
    log = file.query.read(api, after=max(0, file.position - 1))
    events = aiter(log)
    if file.position:
        file.refuse_unless_last(await anext(events, None))
    added, waiting = 0, bytearray()
    with progress("exporting", done=file.position) as moved:
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
