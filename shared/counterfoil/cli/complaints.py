"""How a command ends badly: one message for people, one exit code for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from counterfoil.settings import Command, Settings

OK: Final = 0
REFUSED: Final = 1
"""The ledger said no, or an audit found something."""
USAGE: Final = 2
"""The command line, the environment or a file is not right; nothing was asked."""
UNREACHABLE: Final = 3
"""No answer, or none that can be relied on; repeating may help."""


def ended(code: int, message: str) -> typer.Exit:
    """Say the message on stderr and return the exception that ends the command with this code."""
    remark(f"counterfoil: {printable(message)}")
    return typer.Exit(code)


def warn(message: str) -> None:
    """Say something on stderr that does not end the command."""
    remark(f"counterfoil: warning: {printable(message)}")


def remark(line: str) -> None:
    """Say a line on stderr, after all that stdout was told: where both are one stream, they stay in order."""
    sys.stdout.flush()
    sys.stderr.write(f"{line}\n")


def printable(text: str) -> str:
    """Return the text with every character that could steer a terminal written out instead."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def settings(command: Command) -> Settings:
    """Return what the environment tells a command, or end it with what is wrong about that; log as it wishes."""
    from counterfoil.logging import configure  # noqa: PLC0415 - client commands log nothing
    from counterfoil.settings import BadSetting, Settings  # noqa: PLC0415 - and have no settings

    try:
        told = Settings.from_environment(command=command)
    except BadSetting as error:
        raise ended(USAGE, str(error)) from None
    configure(told.log_format, told.log_level)
    return told


@contextmanager
def database_at_hand() -> Iterator[None]:
    """Turn what may go wrong between a command and its database into a message and an exit code."""
    import asyncpg  # noqa: PLC0415 - 70 ms that client commands need not wait for

    from counterfoil.postgres.connection import LOST  # noqa: PLC0415 - likewise
    from counterfoil.refusals import Misconfigured, Refusal, Unavailable  # noqa: PLC0415 - likewise

    try:
        yield
    except Misconfigured as refusal:
        raise ended(USAGE, refusal.detail) from None
    except Refusal as refusal:
        code = UNREACHABLE if isinstance(refusal, Unavailable) else REFUSED
        raise ended(code, refusal.detail) from None
    except LOST as error:
        raise ended(UNREACHABLE, f"the database cannot be reached: {error}") from None
    except asyncpg.PostgresError as error:
        raise ended(UNREACHABLE, f"the database refuses: {error}") from None
