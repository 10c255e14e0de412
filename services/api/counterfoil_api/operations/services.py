"""The objects that handlers work with, by type.

A handler receives the object whose type annotates its parameter:

    async def create(door: Door, limits: Limits, caller: Caller[Principal], *, body: Body[NewToken]) -> Made[Issued]:
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self, TypeVar, cast

T = TypeVar("T")


class Services:
    """One object of each type that handlers may ask for."""

    def __init__(self, by_type: Mapping[type, object]) -> None:
        self._by_type = MappingProxyType({**by_type})

    @classmethod
    def of(cls, *objects: object) -> Self:
        """Offer each object under its own type."""
        return cls({type(each): each for each in objects})

    def replace(self, *objects: object) -> Self:
        """Return the same services, but these objects in place of those of their types."""
        return type(self)({**self._by_type, **{type(each): each for each in objects}})

    def get(self, kind: type[T]) -> T:
        """Return the object of this type; raises LookupError where none was opened."""
        if kind not in self._by_type:
            raise LookupError(f"no service of the type {kind.__name__} was opened")
        return cast(T, self._by_type[kind])
