"""Commands that share options: a parameter typed as a struct of options becomes one option for each field."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import Parameter
from typing import Any, get_type_hints

import msgspec
import typer

Command = Callable[..., None]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Options that several commands share."""


class Commands(typer.Typer):
    """A group of commands, which may take structs of options."""

    def command(self, *name: Any, **more: Any) -> Callable[[Command], Command]:  # type: ignore[override] # noqa: ANN401 - as Typer has them
        """Add the decorated command."""
        add = super().command(*name, **more)
        return lambda command: add(_spread(command))

    def callback(self, **more: Any) -> Callable[[Command], Command]:  # type: ignore[override] # noqa: ANN401 - as Typer has them
        """Let the decorated function run before each command of the group, or without one."""
        add = super().callback(**more)
        return lambda function: add(_spread(function))


def _spread(command: Command) -> Command:
    """Return the command with the options of each struct in place of the parameter that takes the struct."""
    signature = inspect.signature(command, eval_str=True)
    structs = {each.name: each.annotation for each in signature.parameters.values() if _is_options(each.annotation)}

    @wraps(command)
    def run(**given: object) -> None:
        for name, kind in structs.items():
            given[name] = kind(**{field: given.pop(field) for field in kind.__struct_fields__})
        command(**given)

    parameters: list[Parameter] = []
    for each in signature.parameters.values():
        parameters += _options_of(each.annotation) if each.name in structs else (each,)
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # Typer reads it
    return run


def _is_options(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Options)


def _options_of(struct: type[Options]) -> Iterator[Parameter]:
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
