"""Standard output: what is written there arrives whole, or the command says that it did not."""

from __future__ import annotations

import json
import os
import sys
from typing import IO, Final

import msgspec

from counterfoil.client import Secret

_NAMES: Final = ("stdin", "stdout", "stderr")


class OutputFailed(Exception):  # noqa: N818 - a complaint
    """Nobody received what was written."""


class ReaderGone(OutputFailed):
    """Whoever read the output has read enough."""


def open_streams() -> None:
    """Make sure of stdin, stdout and stderr, and that no character makes them fail."""
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
    """Write to stdout, and return when it is out; raises OutputFailed."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        abandon(1)
        if isinstance(error, BrokenPipeError):
            raise ReaderGone("the reader of the output has closed it") from None
        raise OutputFailed(getattr(error, "strerror", None) or str(error)) from None


def abandon(number: int) -> None:
    """Let what is left in the buffer of a broken stream go nowhere: it would fail once more when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def say_json(value: object) -> None:
    """Write a value as one line of JSON."""
    say(json_of(value) + "\n")


def json_of(value: object) -> str:
    """Return one line of JSON in which every character is printable; a secret is shown, so print it once."""
    # Without encodable characters ASCII alone: JSON is UTF-8, whatever the terminal speaks (RFC 8259 8.1).
    return printable_json(msgspec.json.encode(value, enc_hook=_plain).decode(), ascii_alone=not encodable("\N{ROCKET}"))


def printable_json(text: str, *, ascii_alone: bool = False) -> str:
    """Return the same JSON with whatever could steer a terminal, or is not ASCII, written out."""
    if text.isprintable() and (text.isascii() or not ascii_alone):
        return text
    return "".join(c if c.isprintable() and (c.isascii() or not ascii_alone) else json.dumps(c)[1:-1] for c in text)


def encodable(text: str) -> bool:
    """Say whether stdout has all of these characters."""
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: object) -> str:
    if isinstance(value, Secret):
        return value.plain
    raise NotImplementedError
