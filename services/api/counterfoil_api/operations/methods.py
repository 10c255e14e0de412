"""The answer to a method that a path does not have: its methods, and the one that the caller probably means."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NoReturn

from aiohttp import web

from counterfoil_api.http.errors import MethodNotAllowed
from counterfoil_api.operations.api import Route

# Where a path does not have a method, these usually do what the caller means.
_NEAREST: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"PUT": ("PATCH", "POST"), "PATCH": ("PUT", "POST"), "POST": ("PATCH", "PUT")}
)
_PRINTED: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""The methods that a message repeats; other callers' words are never repeated."""


class WrongMethods:
    """Answers 405 for one path."""

    def __init__(self, path: str, operations: Iterable[Route]) -> None:
        operations = tuple(operations)
        self._path = path
        self._methods = frozenset(each.method for each in operations if each.path == path)
        self._instead = {tried: f"{each.method} {each.path}" for each in operations for tried in each.instead_of}

    async def answer(self, request: web.Request) -> NoReturn:
        """Refuse the method."""
        raise self.refusal(request.method)

    def refusal(self, method: str) -> MethodNotAllowed:
        """Return the refusal of a method; it names the one to use instead."""
        named = f"{method} is not a method of" if method in _PRINTED else "This is not a method of"
        return MethodNotAllowed(f"{named} {self._path}; use {self._better(method)}.", allow=", ".join(self.allowed))

    @property
    def allowed(self) -> list[str]:
        """The methods of the path; where there is GET, there is HEAD."""
        return sorted(self._methods | ({"HEAD"} if "GET" in self._methods else set()))

    def _better(self, method: str) -> str:
        if instead := self._instead.get(f"{method} {self._path}"):
            return instead
        nearest = next((each for each in _NEAREST.get(method, ()) if each in self._methods), None)
        return f"{nearest or ' or '.join(sorted(self._methods))} {self._path}"
