"""Find the messages in the source: texts of refusals, of what is raised and of what commands print."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
ROOTS = ("shared/counterfoil", "services/api/counterfoil_api", "services/worker/counterfoil_worker")

PRINTERS = frozenset({"ended", "warn", "remark", "say", "write", "BadParameter", "UsageError", "Option", "Argument"})
"""Functions that put a text before a person, or declare one that will be."""
KINDS = frozenset({"Kind"})
"""The table of problems: its last text is a title."""
NO_ANSWERS = frozenset({"TypeError", "KeyError", "LookupError", "NotImplementedError", "RuntimeError"})
"""What is raised for programmers, or within one function."""


@dataclass(frozen=True, slots=True)
class Message:
    """One text and where it stands: `room` is refusals, settings, api, cli, worker or core."""

    room: str
    place: str
    text: str


def every_message() -> Iterator[Message]:
    """Yield all messages in the order of the files; a part that is filled in at run time is shown as {name}."""
    for root in ROOTS:
        for file in sorted((TOP / root).rglob("*.py")):
            yield from _messages_of(file)


def _messages_of(file: Path) -> Iterator[Message]:
    name = str(file.relative_to(TOP))
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for text in _texts(node):
            yield Message(_room(name), f"{name}:{getattr(node, 'lineno', 0)}", text)


def _room(name: str) -> str:
    if name.endswith("core/refusals.py"):
        return "refusals"
    if name.endswith(("settings.py", "setting_parsers.py")):
        return "settings"
    if "/cli/" in name:
        return "cli"
    return "api" if "counterfoil_api" in name else "worker" if "counterfoil_worker" in name else "core"


def _texts(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.ClassDef(bases=[ast.Name(id=base)]) if base in _REFUSALS:
            yield ast.get_docstring(node) or ""
        case ast.Raise(exc=ast.Call(func=function, args=arguments)) if _called(function) not in NO_ANSWERS:
            yield from _prose(arguments)
        case ast.Call(func=function, args=arguments, keywords=keywords) if _called(function) in PRINTERS:
            yield from _prose([*arguments, *(k.value for k in keywords if k.arg == "help")])
        case ast.Call(func=function, args=arguments) if _called(function) in KINDS:
            yield from _prose(arguments[-2:])


_REFUSALS = frozenset({"Refusal", "Complaint", "Invalid", "Denied", "Forbidden", "Conflict", "Unavailable"})


def _called(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _prose(arguments: list[ast.expr]) -> Iterator[str]:
    """Yield the arguments that are sentences rather than names."""
    for argument in arguments:
        for part in ast.walk(argument) if not isinstance(argument, ast.JoinedStr) else [argument]:
            text = _text(part)
            if " " in text.strip():
                yield text


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) if isinstance(part, ast.Constant) else "{…}" for part in parts)
    return ""
