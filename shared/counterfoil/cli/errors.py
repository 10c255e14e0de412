"""How a command fails: a message for people, an exit code for programs."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import typer

from counterfoil.cli.output import OutputFailed, abandon, json_of

if TYPE_CHECKING:
    from counterfoil.postgres.connection import Pool
    from counterfoil.settings import Command, Settings

T = TypeVar("T")
OK: Final = 0
REFUSED: Final = 1
"""The ledger refused, or an audit found a difference."""
USAGE: Final = 2
"""The command line, the environment or a file is wrong; no request was sent."""
UNREACHABLE: Final = 3
"""No reliable answer; repeating may help."""
NOT_SHOWN: Final = 4
"""The change was made, but its reply could not be written to the output."""

_SECRETS: Final = re.compile(r"cfl_[a-z]+_\w+|eyJ[\w-]+(?:\.[\w-]+)+")
_TYPES: Final = {REFUSED: "refused", USAGE: "usage", UNREACHABLE: "unreachable", NOT_SHOWN: "not-shown"}


def ended(code: int, message: str, *, advice: str = "", **facts: str) -> typer.Exit:
    """Print on stderr what is wrong and what to do, and return the exception that ends the command with this code.

    With --json it is a document, with the facts beside the message.
    """
    message = _SECRETS.sub("…", message)  # a secret typed in the wrong place must not reach logs
    if wants_json():
        error = {"type": _TYPES[code], "title": message, **({"detail": advice} if advice else {}), **facts}
        remark(json_of({"error": error, "exit_code": code}))
    else:
        lines = [f"counterfoil: {message}", *(f"  {line}" for line in advice.splitlines())]
        remark(printable("\n".join(lines)))
    return typer.Exit(code)


def wants_json() -> bool:
    """Return whether the arguments have --json, even if the others are wrong."""
    words = sys.argv[1:]
    return "--json" in words[: words.index("--") if "--" in words else None]


@contextmanager
def shown_again_by(key: str) -> Iterator[str]:
    """Surround a change whose reply has a secret: if the reply is lost, print the key that repeats it."""
    again = "Within ten minutes, repeat the same command with this option; it happens once"
    option = f":\n--idempotency-key {key}"
    try:
        yield key
    except OutputFailed as failed:
        advice = f"{again}, and shows the same secret{option}"
        raise ended(NOT_SHOWN, f"this is done, but not shown: {failed}.", advice=advice, idempotency_key=key) from None
    except KeyboardInterrupt:
        advice = f"{again}, whatever happened{option}"
        raise ended(UNREACHABLE, "interrupted: this may have happened.", advice=advice, idempotency_key=key) from None


def warn(message: str) -> None:
    """Print a warning on stderr."""
    remark(f"counterfoil: warning: {printable(message)}")


def remark(line: str) -> None:
    """Print a line on stderr; if that fails, only the exit code remains."""
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        abandon(2)


def printable(text: str) -> str:
    """Return the text with every control character escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def settings(command: Command) -> Settings:
    """Return the settings of a command, or end it with the first wrong one; configure logging."""
    from counterfoil.logging import configure  # noqa: PLC0415 - client commands log nothing
    from counterfoil.settings import BadSetting, Settings  # noqa: PLC0415 - and have no settings

    try:
        configured = Settings.from_environment(command=command)
    except BadSetting as error:
        raise ended(USAGE, str(error)) from None
    configure(configured.log_format, configured.log_level)
    return configured


def on_database(url: str, work: Callable[[Pool], Awaitable[T]]) -> T:
    """Run work with a connection to the database, as `on_server` does."""
    from counterfoil.postgres.connection import open_pool  # noqa: PLC0415 - client commands need no database

    async def connected() -> T:
        async with await open_pool(url, size=1) as pool:
            return await work(pool)

    return on_server(connected())


def on_server(work: Coroutine[Any, Any, T]) -> T:
    """Run work against the database; if the database fails or refuses, end the command with a message."""
    import asyncpg  # noqa: PLC0415 - 70 ms that client commands need not wait for

    from counterfoil.core.refusals import Misconfigured, Refusal, Unavailable  # noqa: PLC0415 - likewise
    from counterfoil.postgres.connection import LOST  # noqa: PLC0415 - likewise

    try:
        return asyncio.run(work)
    except Misconfigured as refusal:
        raise ended(USAGE, refusal.detail) from None
    except Refusal as refusal:
        code = UNREACHABLE if isinstance(refusal, Unavailable) else REFUSED
        raise ended(code, refusal.detail) from None
    except LOST as error:
        if isinstance(error, OSError) and error.filename:
            raise ended(USAGE, f"{error.filename} cannot be used: {error.strerror}.") from None
        raise ended(UNREACHABLE, f"the database cannot be reached: {error}") from None
    except asyncpg.PostgresError as error:
        raise ended(UNREACHABLE, f"the database refuses: {error}") from None
