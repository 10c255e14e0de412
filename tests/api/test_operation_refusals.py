"""An operation's refusals are derived from what it executes, reads and needs."""

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from counterfoil.core.refusals import (
    AlreadyExists,
    BadText,
    NotFound,
    Refusal,
    Refuses,
    ScopeMissing,
)
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, Query
from counterfoil_api.operations.replies import Nothing

Name = Annotated[str, Meta(max_length=10), Refuses((BadText,))]


class AddThing:
    refusals: ClassVar[tuple[type[Refusal], ...]] = (AlreadyExists,)


class Part(msgspec.Struct):
    name: Name
    parts: list["Part"] = []


class Search(msgspec.Struct):
    name: Name | None = None


def test_the_refusals_of_commands_fields_paths_and_the_scope_are_collected_once() -> None:
    api = Api("things")

    @api.post("/boxes/{_box}/things", executes=(AddThing,), scope="things.add", refusals=(NotFound, BadText))
    async def add(_box: Annotated[str, Refuses((NotFound,))], _body: Body[Part], _query: Query[Search]) -> Nothing:
        """Add a thing."""
        return Nothing()

    assert api.routes[0].refusals == (AlreadyExists, NotFound, BadText, ScopeMissing)
