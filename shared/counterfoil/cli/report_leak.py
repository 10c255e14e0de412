"""`counterfoil report-leak`: report leaked secrets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from counterfoil.cli import calls
from counterfoil.cli.calls import ask_with
from counterfoil.cli.errors import USAGE, ended
from counterfoil.cli.options import AsJson
from counterfoil.cli.output import say, say_json


def report_leak(
    file: Annotated[Path | None, typer.Argument(help="A file with one secret a line; without it, stdin.")] = None,
    *,
    url: Annotated[
        str | None, typer.Option(help="The ledger. Without it: COUNTERFOIL_URL, else .counterfoil/credentials.json.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Report leaked secrets, one a line: whatever they open is revoked at once. It takes no login."""
    found = [line.strip() for line in _text(file).splitlines() if line.strip()]
    if not found:
        raise ended(USAGE, "there is no secret to report; give one a line, in a file or on stdin.")
    # A secret as an argument would be visible in the shell's history and in the list of processes.
    received = ask_with(url or calls.where(None), None, lambda ledger: ledger.report_leak(found))
    if as_json:
        say_json({"received": received})
    else:
        say(f"{received:,} reported. Tokens with these secrets are revoked; the answer does not say which exist.\n")


def _text(file: Path | None) -> str:
    try:
        return sys.stdin.read() if file is None else file.read_text(encoding="utf-8")
    except OSError as error:
        raise ended(USAGE, f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ended(USAGE, "the secrets are not text in UTF-8.") from None
