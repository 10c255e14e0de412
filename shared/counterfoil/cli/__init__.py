"""The `counterfoil` command: the command-line client of the ledger, and the processes of its service."""

from __future__ import annotations


def main() -> None:
    """Run the command line; exits with 0 ok, 1 refused, 2 usage, 3 unreachable, 4 done but not shown."""
    from counterfoil.cli.command_line import run  # noqa: PLC0415 - importing the package alone must not load typer

    run()
