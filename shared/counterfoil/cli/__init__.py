"""The `counterfoil` command: thin words over the ledger and over its client."""

from __future__ import annotations


def main() -> None:
    """Run the command line; exits with 0 ok, 1 refused, 2 usage, 3 unreachable, 4 done but not shown."""
    from counterfoil.cli.command_line import run  # noqa: PLC0415 - whoever imports the package alone shall not wait for typer

    run()
