"""Standard output: it is written completely, or the command says that it is not."""

from __future__ import annotations

import json
import os
import sys
from typing import IO, Final

import msgspec

_NAMES: Final = ("stdin", "stdout", "stderr")


class OutputFailed(Exception):  # noqa: N818 - named like the refusals
    """The output could not be written."""


class ReaderGone(OutputFailed):
    """The reader of the output has closed it."""


def open_streams() -> None:
    """Open stdin, stdout and stderr if they are closed, and let them escape what they cannot encode."""
    for number, name in enumerate(_NAMES):
        stream: IO[str] | None = getattr(sys, name)
        if stream is None:
            # Closed: without this the next socket would take its number. Here it can be neither read nor written.
            os.dup2(os.open(os.devnull, os.O_WRONLY if name == "stdin" else os.O_RDONLY), number)
            stream = open(number, "r" if name == "stdin" else "w", closefd=False)  # noqa: SIM115 - the process's own
            setattr(sys, name, stream)
        if name != "stdin":
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined] # they are text streams


def say(text: str) -> None:
    """Write to stdout and flush it; raises OutputFailed."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        abandon(1)
        if isinstance(error, BrokenPipeError):
            raise ReaderGone("the reader of the output has closed it") from None
        raise OutputFailed(getattr(error, "strerror", None) or str(error)) from None


def abandon(number: int) -> None:
    """Discard the buffer of a broken stream, which would fail again when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def say_json(value: object) -> None:
    """Write a value as one line of JSON."""
    say(json_of(value) + "\n")


def json_of(value: object) -> str:
    """Return one line of JSON in which every character is printable; it shows secrets, so print it once."""
    # Without encodable characters ASCII alone: JSON is UTF-8, whatever the terminal speaks (RFC 8259 8.1).
    return printable_json(msgspec.json.encode(value).decode(), ascii_alone=not encodable("\N{ROCKET}"))


def printable_json(text: str, *, ascii_alone: bool = False) -> str:
    """Return the same JSON with control characters, and with `ascii_alone` all non-ASCII, escaped."""
    if text.isprintable() and (text.isascii() or not ascii_alone):
        return text
    return "".join(c if c.isprintable() and (c.isascii() or not ascii_alone) else json.dumps(c)[1:-1] for c in text)


def encodable(text: str) -> bool:
    """Return whether stdout can encode the text."""
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True
