"""What is answered to a method that a path does not have: which ones it has, and what was probably meant."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NoReturn, Protocol

from aiohttp import web

from counterfoil_api.http.errors import MethodNotAllowed

# Where a path has no such method, this one usually does what was meant.
_NEAREST: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"PUT": ("PATCH", "POST"), "PATCH": ("PUT", "POST"), "POST": ("PATCH", "PUT")}
)
_PRINTED: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""The methods that a message repeats; any other could be anything."""


class Operation(Protocol):
    """What a route says of itself."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def instead_of(self) -> tuple[str, ...]: ...


class WrongMethods:
    """Answers 405 at one path."""

    def __init__(self, path: str, operations: Iterable[Operation]) -> None:
        operations = tuple(operations)
        self._path = path
        self._methods = frozenset(each.method for each in operations if each.path == path)
        self._instead = {
            tried: f"{each.method} {each.path}" for each in operations for tried in each.instead_of
        }  # fmt: skip

    async def answer(self, request: web.Request) -> NoReturn:
        """Refuse it."""
        raise self.refusal(request.method)

    def refusal(self, method: str) -> MethodNotAllowed:
        """The refusal of a method, which names what to use instead."""
        named = f"{method} is not a method of" if method in _PRINTED else "This is not a method of"
        return MethodNotAllowed(f"{named} {self._path}; use {self._meant(method)}.", allow=", ".join(self.allowed))

    @property
    def allowed(self) -> list[str]:
        """The methods that the path has; whoever may GET may ask for the HEAD."""
        return sorted(self._methods | ({"HEAD"} if "GET" in self._methods else set()))

    def _meant(self, method: str) -> str:
        if meant := self._instead.get(f"{method} {self._path}"):
            return meant
        nearest = next((each for each in _NEAREST.get(method, ()) if each in self._methods), None)
        return f"{nearest or ' or '.join(sorted(self._methods))} {self._path}"
