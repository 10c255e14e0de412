"""The refusals that an operation can answer with, derived from what it executes, what it reads and what it needs.

A command class names the refusals of its decision as `refusals`. A type that a request may fill with unacceptable
values names theirs with a marker: `Annotated[str, Meta(…), Refuses((BadCursor,))]`, in a path, a query or a body.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from counterfoil.core.refusals import KeyTooShort, Refusal, Refuses, ScopeMissing, SecretNoLongerAvailable
from counterfoil_api.operations.forms import fields_in, parts

Refusals = tuple[type[Refusal], ...]


class Executed(Protocol):
    """A class of commands, as an operation knows it."""

    @property
    def refusals(self) -> Refusals:
        """What may be refused when a command of this class is decided."""


SECRET_REPLY: Final[Refusals] = (KeyTooShort, SecretNoLongerAvailable)
"""Where a reply with a secret may be repeated under an Idempotency-Key."""


def refusals_of(
    commands: Iterable[Executed], hints: Iterable[object], scope: str | None, further: Refusals = ()
) -> Refusals:
    """Return each refusal once: of these commands, of the types of the parameters, of a missing scope, and further."""
    found = [refusal for command in commands for refusal in command.refusals]
    found += [refusal for hint in hints for refusal in _marked(hint, set())]
    return tuple(dict.fromkeys([*found, *([ScopeMissing] if scope is not None else []), *further]))


def _marked(hint: object, seen: set[object]) -> Iterator[type[Refusal]]:
    for part in parts(hint):
        if isinstance(part, Refuses):
            yield from part.refusals
        elif isinstance(part, type) and part not in seen:
            seen.add(part)
            for inner in fields_in(part).values():
                yield from _marked(inner, seen)
