"""`counterfoil audit`: check the log without believing anybody, on the server itself (DATABASE_URL)."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from .complaints import REFUSED, database_at_hand, printable, settings
from .output import json_of, say, say_json

if TYPE_CHECKING:
    from rich.progress import Progress

    from counterfoil.auditing.tally import Tally
    from counterfoil.chain import Finding

app = typer.Typer(help="Audits, on the server itself (DATABASE_URL).", no_args_is_help=True)


@app.callback()
def _audit() -> None:
    pass  # keeps `replay` a word of its own while it is the only command


@app.command()
def replay(
    *, as_json: Annotated[bool, typer.Option("--json", help="One finding a line, and a summary as the last.")] = False
) -> None:
    """Fold the whole log again and name every row that differs. Ends with 1 if anything does."""
    told = settings("audit")
    began = time.monotonic()
    with database_at_hand():
        tally = asyncio.run(_replayed(told.database_url, as_json=as_json))
    _sum_up(tally, time.monotonic() - began, as_json=as_json)
    if tally.findings:
        raise typer.Exit(REFUSED)


async def _replayed(url: str, *, as_json: bool) -> Tally:
    from counterfoil.audit import replay  # noqa: PLC0415 - client commands need no database
    from counterfoil.auditing.tally import Tally  # noqa: PLC0415 - likewise

    with _progress() as bar:
        task = bar.add_task("auditing", total=None)
        tally = Tally(lambda done, total: bar.update(task, completed=done, total=total))
        async for finding in replay(url, tally):
            say(_line(finding, as_json=as_json))
    return tally


def _progress() -> Progress:
    from rich.console import Console  # noqa: PLC0415 - 60 ms that other commands need not wait for
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # On anything but a terminal a bar is noise. And what goes into a file must not be caught for the bar's terminal.
    return Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal, redirect_stdout=sys.stdout.isatty()
    )


def _line(finding: Finding, *, as_json: bool) -> str:
    if as_json:
        return json_of(finding) + "\n"
    where = f"{finding.kind} {finding.subject}"
    version = f" version {finding.version}" if finding.version is not None else ""
    field = f" {finding.field}" if finding.field else ""
    stored, replayed = json_of(finding.stored), json_of(finding.replayed)
    sides = f": stored {stored}, replayed {replayed}" if stored != replayed else ""
    return printable(f"account {finding.account} {where}{version}: {finding.what}{field}{sides}") + "\n"


def _sum_up(tally: Tally, seconds: float, *, as_json: bool) -> None:
    rate = round(tally.events / max(seconds, 0.001))
    if as_json:
        summary = {
            "summary": {
                "events": tally.events, "subjects": tally.subjects, "findings": tally.findings,
                "seconds": round(seconds, 3), "events_per_second": rate,
            }
        }  # fmt: skip
        say_json(summary)
        return
    verdict = f"{tally.findings:,} findings" if tally.findings else "every row is what its events say"
    say(f"{tally.events:,} events of {tally.subjects:,} subjects in {seconds:.1f} s ({rate:,} events/s): {verdict}\n")
