"""`counterfoil audit`: check the log independently, on the server or over HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from counterfoil.cli.commands import Commands
from counterfoil.cli.errors import REFUSED, on_server, printable, settings
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.output import json_of, say, say_json
from counterfoil.cli.progress import progress

if TYPE_CHECKING:
    from counterfoil.client import Client
    from counterfoil.core.chain import Finding
    from counterfoil.uses.audit.progress import Tally

app = Commands(help="Audits, on the server itself (DATABASE_URL) or over HTTP.", no_args_is_help=True)


@app.callback()
def _audit() -> None:
    pass  # keeps `replay` a word of its own while it is the only command


@app.command()
def replay(
    *,
    http: Annotated[
        bool,
        typer.Option("--http", help="Read from the API instead of the database; --credentials alone means the same."),
    ] = False,
    ledger: Ledger,
) -> None:
    """Replay the whole log and name everything that differs. The exit code is 1 if anything differs.

    On the server (DATABASE_URL) that is every account, and every row is compared. With --http it is your account, and
    what the API shows is compared: this needs a token with audit.read, and the scopes to read what shall be compared.
    With --json it prints one finding a line, and a summary as the last.
    """
    began = time.monotonic()
    over_http = http or ledger.credentials is not None
    if over_http:
        tally = ledger.ask(lambda api: _over_http(api, as_json=ledger.as_json))
    else:
        tally = on_server(_whole_log(settings("audit").database_url, as_json=ledger.as_json))
    _sum_up(tally, time.monotonic() - began, as_json=ledger.as_json, over_http=over_http)
    if tally.findings:
        raise typer.Exit(REFUSED)


async def _over_http(api: Client, *, as_json: bool) -> Tally:
    from counterfoil.uses.audit.over_http import replay  # noqa: PLC0415 - other commands fold nothing

    return await _replayed(lambda tally: replay(api, tally), as_json=as_json)


async def _whole_log(url: str, *, as_json: bool) -> Tally:
    from counterfoil.uses.audit.whole_log import replay  # noqa: PLC0415 - client commands need no database

    return await _replayed(lambda tally: replay(url, tally), as_json=as_json)


async def _replayed(replay: Callable[[Tally], AsyncIterator[Finding]], *, as_json: bool) -> Tally:
    from counterfoil.uses.audit.progress import Tally  # noqa: PLC0415 - as above

    with progress("auditing") as moved:
        tally = Tally(moved)
        async for finding in replay(tally):
            say(_line(finding, as_json=as_json))
    return tally


def _line(finding: Finding, *, as_json: bool) -> str:
    if as_json:
        return json_of(finding) + "\n"
    where = f"{finding.kind} {finding.subject}"
    version = f" version {finding.version}" if finding.version is not None else ""
    position = f" at position {finding.position}" if finding.position is not None else ""
    field = f" {finding.field}" if finding.field else ""
    stored, replayed = json_of(finding.stored), json_of(finding.replayed)
    sides = f": stored {stored}, replayed {replayed}" if stored != replayed else ""
    return printable(f"account {finding.account} {where}{version}{position}: {finding.what}{field}{sides}") + "\n"


def _sum_up(tally: Tally, seconds: float, *, as_json: bool, over_http: bool) -> None:
    rate = round(tally.events / max(seconds, 0.001))
    if as_json:
        compared = {"documents": tally.documents, "not_compared": tally.not_compared} if over_http else {}
        summary = {
            "summary": {
                "events": tally.events, "subjects": tally.subjects, "findings": tally.findings,
                "seconds": round(seconds, 3), "events_per_second": rate, **compared,
            }
        }  # fmt: skip
        say_json(summary)
        return
    what = f"each of {tally.documents:,} documents" if over_http else "every row"
    verdict = f"{tally.findings:,} findings" if tally.findings else f"{what} is what its events say"
    say(f"{tally.events:,} events of {tally.subjects:,} subjects in {seconds:.1f} s ({rate:,} events/s): {verdict}\n")
    for kind, reason in sorted(tally.not_compared.items()):
        say(printable(f"not compared: {kind} ({reason})") + "\n")
