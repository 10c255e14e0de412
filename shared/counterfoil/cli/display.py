"""The output of commands: tables for people, JSON for programs, and no control characters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from counterfoil.cli.errors import printable
from counterfoil.cli.output import json_of, say, say_json
from counterfoil.client.documents import Actor, Owner

T = TypeVar("T")
Facts = Iterable[tuple[str, str]]
"""The names of facts and their texts; an empty text is left out."""


def show(value: T, facts_of: Callable[[T], Facts], *, as_json: bool) -> None:
    """Print a document: its facts, or with --json all of it."""
    if as_json:
        say_json(value)
    else:
        show_facts(facts_of(value))


def show_facts(facts: Facts) -> None:
    """Print names and texts, one a line."""
    # Plain lines, not a table: a table would wrap or cut secrets and ids.
    say("".join(f"{name:<16}{printable(text)}\n" for name, text in facts if text))


def actor_of(actor: Actor) -> str:
    """Return an actor's name, or its id if it has no name any more."""
    if actor.kind == "user" and actor.name:
        return actor.name
    if not actor.number:
        return actor.kind if actor.kind == "system" else f"{actor.kind} {actor.id}"
    return f"{actor.kind} {actor.number} {actor.name or '(erased)'}"


def owner_of(owner: Owner) -> str:
    """Return an owner as TYPE:ID."""
    return f"{owner.type}:{owner.id}"


def fields_of(data: dict[str, object]) -> str:
    """Return the fields of an event in one line."""
    stated = {name: value for name, value in data.items() if value or value == 0}
    return ", ".join(f"{name} {value if isinstance(value, str) else json_of(value)}" for name, value in stated.items())


def time_of(moment: datetime | None) -> str:
    """Return a moment as text; empty for None."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def until(moment: datetime | None, at: datetime | None = None) -> str:
    """Return a moment and how far it is from `at`, by default from now; `never` for None."""
    if moment is None:
        return "never"
    left = moment - (at or datetime.now(UTC))
    return f"{time_of(moment)} ({f'in {span(left)}' if left > timedelta(0) else f'{span(-left)} ago'})"


def span(time: timedelta) -> str:
    """Return a duration in the largest unit that gives at least two: `3 d`, `90 min`."""
    seconds = max(0, int(time.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{round(seconds / length)} {unit}"
    return f"{seconds} s"
