"""One run of the command line, from its arguments to its exit code."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Final, NoReturn, cast

import typer

from counterfoil.cli.app import app
from counterfoil.cli.errors import NOT_SHOWN, REFUSED, USAGE, ended
from counterfoil.cli.output import OutputFailed, ReaderGone, open_streams, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer.core import TyperGroup, TyperOption

_BAD_CALL: Final = cast("type[typer.BadParameter]", typer.BadParameter.__base__)
"""The errors of wrong arguments."""
_KINDS: Final = {"<str>": "TEXT", "<list[str]>": "TEXT", "<int>": "NUMBER", "<path>": "FILE"}


def run() -> NoReturn:
    """Run the command in sys.argv, and exit with its exit code."""
    open_streams()
    sys.exit(_code())


def _code() -> int:
    try:
        sys.argv[1:] = [_decoded(word) for word in sys.argv[1:]]
        return int(command()(standalone_mode=False) or 0)
    except typer.Exit as exit_:
        return exit_.exit_code
    except typer.Abort:
        return ended(REFUSED, "nothing was done.").exit_code
    except ReaderGone:
        return NOT_SHOWN  # the reader, such as `head`, closed the pipe
    except OutputFailed as failed:
        return ended(NOT_SHOWN, f"this is done, but not shown: {failed}.").exit_code
    except _BAD_CALL as error:
        return _called_badly(error)


def _decoded(word: str) -> str:
    """Decode an argument as UTF-8, also in an ASCII locale."""
    try:
        return os.fsencode(word).decode()
    except UnicodeDecodeError:
        raise ended(USAGE, f"{word!a} is not UTF-8; every word of a command should be.") from None


def _called_badly(error: typer.BadParameter) -> int:
    """Print what is wrong with the arguments, and the usage."""
    if type(error).__name__ == "NoArgsIsHelpError":  # the help is the message
        say(error.format_message() + "\n")
        return USAGE
    message, context = error.format_message(), error.ctx
    if context is None:
        return ended(USAGE, message).exit_code
    usage = " ".join(context.get_usage().split()).removeprefix("Usage: ")
    return ended(USAGE, message, advice=f"Usage: {usage}\nMore: {context.command_path} --help").exit_code


@cache
def command() -> TyperGroup:
    """Return the whole command with its options named for people: a flag takes no value, a name is text."""
    root = cast("TyperGroup", typer.main.get_command(app))
    for option, context in _options(root, typer.Context(root)):
        if option.metavar is None:
            option.metavar = "" if option.is_flag else _KINDS.get(option.display_type(context))
    return root


def _options(command: TyperGroup, context: typer.Context) -> Iterator[tuple[TyperOption, typer.Context]]:
    for parameter in command.get_params(context):
        if parameter.param_type_name == "option":
            yield cast("TyperOption", parameter), context
    for each in getattr(command, "commands", {}).values():
        yield from _options(each, typer.Context(each))
