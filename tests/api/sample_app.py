"""A small application on the HTTP layer of the API, for tests of that layer."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, Self

import msgspec

from counterfoil.core.credentials import SecretGiven
from counterfoil.core.refusals import CredentialsRefused, Overloaded, ScopeMissing
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.credentials import PasswordGiven, PresentedCredentials
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, Caller, Form, IdempotencyKey, IfMatch, Query
from counterfoil_api.operations.replies import Made, Page, Tagged, encode
from counterfoil_api.operations.streaming import NDJSON, Streamed


class Owner(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["user", "service"]
    id: str


class NewThing(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    owner: Owner | None = None
    tags: dict[str, str] = {}
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Thing(msgspec.Struct):
    name: str
    caller: str
    key: str | None = None


class Search(msgspec.Struct, forbid_unknown_fields=True):
    name: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class Typed(msgspec.Struct):
    token: str


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


@dataclass
class Shelf:
    """The state of the sample application."""

    finished: list[str] = field(default_factory=list)
    observed: list[tuple[str, str, int, str | None]] = field(default_factory=list)
    lines_sent: int = 0
    given_back: int = 0
    gave_back: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)


things = Api("things", OURS)


@things.post("/things", refusals=(ScopeMissing,), example=NewThing(name="a"), example_reply=Thing("a", "me"))
async def make_thing(_: Shelf, caller: Caller[str], body: Body[NewThing], key: IdempotencyKey) -> Made[Thing]:
    """Make a thing.

    A longer word about it.
    """
    if body.name == "forbidden":
        raise ScopeMissing(scope="things.make")
    if body.name == "bug":
        raise RuntimeError("cfl_service_secret leaks nowhere")
    return Made(Thing(body.name, caller, key.key if key else None), revision=1, location="/things/1")


@things.get("/things")
async def list_things(_: Shelf, query: Query[Search]) -> Search:
    """List things."""
    return query


@things.patch("/things/{ref}")
async def change_thing(_: Shelf, ref: str, if_match: IfMatch, body: Body[Nothing]) -> Tagged[Thing]:
    """Change a thing."""
    assert body == Nothing()
    met = if_match is None or 7 in if_match
    return Tagged(Thing(f"{ref} {met}", "nobody"), revision=7)


@things.post("/form")
async def send_form(_: Shelf, form: Form[Typed]) -> Typed:
    """Send a form."""
    return form


@things.post("/slow")
async def finish_slowly(shelf: Shelf, body: Body[NewThing]) -> Thing:
    """Answer after a while."""
    await asyncio.sleep(0.2)
    shelf.finished.append(body.name)
    return Thing(body.name, "nobody")


@things.get("/page")
async def show_page(_: Shelf) -> Page:
    """Show a page."""
    return Page(b"hello", "text/plain; charset=utf-8")


class Lines:
    """A stream of lines that ends or fails on request, and frees a resource."""

    def __init__(self, shelf: Shelf, name: str, limit: int) -> None:
        self.shelf, self.name, self.left = shelf, name, limit

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self.left == 0:
            await self._end()
        self.left -= 1
        self.shelf.lines_sent += 1
        return self.name.encode() * (10_000 if self.name == "long" else 1) + b"\n"

    async def _end(self) -> None:
        match self.name:
            case "bug":
                raise RuntimeError("cfl_service_secret leaks nowhere")
            case "refused":
                raise Overloaded
            case "waits":
                await self.shelf.go_on.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.shelf.given_back += 1
        self.shelf.gave_back.set()


@things.get("/lines", streams=(NDJSON,), headers=("Log-Head",))
async def list_lines(shelf: Shelf, query: Query[Search]) -> Streamed[Search]:
    """List lines."""
    if query.name is None:
        return Streamed("application/json", encode(query), {"Log-Head": "7"}, compress=True)
    return Streamed(NDJSON, Lines(shelf, query.name, query.limit), {"Log-Head": "7"}, compress=query.name == "small")


async def believe(presented: PresentedCredentials) -> str:
    match presented.credentials:
        case SecretGiven("good"):
            return "token"
        case PasswordGiven(email, "good"):
            return email
    raise CredentialsRefused
