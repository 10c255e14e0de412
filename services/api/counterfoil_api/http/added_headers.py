"""Headers that code below the handler adds to the answer of the current request, such as the quota that is left."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

_ADDED: Final[ContextVar[Mapping[str, str] | None]] = ContextVar("added_headers", default=None)


def begin() -> None:
    """Start a request without added headers: the requests of one connection share their context."""
    _ADDED.set(None)


def add(headers: Mapping[str, str]) -> None:
    """Add these headers; a value of a header that was added before precedes the new one."""
    before = added()
    joined = {name: ", ".join(filter(None, (before.get(name), value))) for name, value in headers.items()}
    _ADDED.set({**before, **joined})


def add_once(headers: Mapping[str, str]) -> None:
    """Add these headers, unless one of them was added before."""
    if added().keys().isdisjoint(headers):
        add(headers)


def added() -> Mapping[str, str]:
    """Return the headers that were added so far."""
    return _ADDED.get() or {}
