"""`counterfoil events`: follow the log, replay it, or export it to a file."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from counterfoil.cli.commands import Commands
from counterfoil.cli.errors import UNREACHABLE, ended, printable, remark
from counterfoil.cli.export import exported
from counterfoil.cli.export_file import opened
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.log_display import Show, shown_until
from counterfoil.cli.log_filters import LogFilters
from counterfoil.cli.options import whole
from counterfoil.cli.output import say, say_json
from counterfoil.client import Client, LogEvent

app = Commands(
    help="The log itself: every event of the account, in order, each at its position. Of one token alone, with names "
    "in place of ids, `token events` tells; what became of the account, `account events`.",
    no_args_is_help=True,
)
_AT_ONCE: Final = 100
_WIDER: Final = 10
"""If a filter leaves too few events, the search goes this many times further back."""


def position(text: str) -> int:
    """Return a position, or 0, which is before the first; a default passes through here as a number."""
    return 0 if text in {"0", 0} else whole(str(text))


@app.command()
def tail(
    *,
    number: Annotated[
        int, typer.Option("--number", "-n", parser=position, metavar="NUMBER", help="How many past events to show.")
    ] = 10,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for new events, until Ctrl-C.")] = True,
    filters: LogFilters,
    ledger: Ledger,
) -> None:
    """Show the latest events, and then each new one as it happens."""

    async def show(api: Client) -> None:
        head = await _end_of(api, filters)
        latest, seen = await _latest(api, filters, number, head)
        show = shown_until(head, as_json=ledger.as_json)
        if latest or follow:
            show(latest)
        if follow:
            async for event in filters.read(api, after=seen, follow=True):
                show([event])

    try:
        ledger.ask(show)
    except KeyboardInterrupt:
        if not follow:
            raise
        # Following has no other end.


async def _end_of(api: Client, filters: LogFilters) -> int:
    log = filters.read(api, after="latest")
    async for _ in log:
        pass
    return log.head or 0


async def _latest(api: Client, filters: LogFilters, number: int, head: int) -> tuple[Sequence[LogEvent], int]:
    """Return the latest events up to `number`, and the position up to which the log was looked at."""
    span = number
    while True:
        log = filters.read(api, after=max(0, head - span))
        latest: deque[LogEvent] = deque(maxlen=number)
        async for event in log:
            latest.append(event)
        if len(latest) == number or span >= head:
            return latest, log.position or 0
        span *= _WIDER  # the filter left too few events


@app.command()
def replay(
    *,
    after: Annotated[
        int, typer.Option(parser=position, metavar="POSITION", help="Begin after this position; 0 is the beginning.")
    ] = 0,
    limit: Annotated[
        int | None, typer.Option(parser=whole, metavar="NUMBER", help="How many to show; without it, all.")
    ] = None,
    filters: LogFilters,
    ledger: Ledger,
) -> None:
    """Show all events in order, from the first one or from a position on, to the end of the log."""
    seen = after

    async def show(api: Client) -> None:
        nonlocal seen
        log = filters.read(api, after=after)
        shown: Show | None = None
        async for events in _batches(log, limit):
            shown = shown or shown_until(log.head, as_json=ledger.as_json)
            shown(events)
            seen = events[-1].position
        if shown is None and not ledger.as_json:
            remark("There is nothing to show.")

    try:
        ledger.ask(show)
    except KeyboardInterrupt:
        raise ended(UNREACHABLE, "interrupted.", advice=f"To see the rest, repeat this with --after {seen}.") from None


async def _batches(log: AsyncIterable[LogEvent], limit: int | None) -> AsyncIterator[list[LogEvent]]:
    batch: list[LogEvent] = []
    left = limit
    async for event in log:
        batch.append(event)
        left = None if left is None else left - 1
        if len(batch) == _AT_ONCE or left == 0:
            yield batch
            batch = []
        if left == 0:
            return
    if batch:
        yield batch


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="The file to write; only you can read it.")],
    *,
    form: Annotated[
        Literal["ndjson", "csv"], typer.Option("--format", help="Lines of JSON as the API sends them, or CSV.")
    ] = "ndjson",
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE, whatever it contains.")] = False,
    filters: LogFilters,
    ledger: Ledger,
) -> None:
    """Write all events in order to a file; the same command again continues where the file ends.

    FILE.export, beside it, remembers what was asked for.
    """
    with opened(file, form, filters, force=force) as target:
        done = exported(target, ledger)
    if ledger.as_json:
        say_json({"file": str(file), "added": done.added, "head": done.head})
    else:
        events = "event" if done.added == 1 else "events"
        say(printable(f"{done.added:,} {events} added; {file} holds the log up to position {done.head:,}.\n"))
