"""Handlers receive services by the types of their parameters."""

from dataclasses import dataclass

import pytest
from aiohttp import ClientSession, web

from api.service import served
from counterfoil_api.http.requests import outer_layer
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.mounting import Mount
from counterfoil_api.operations.services import Services


@dataclass
class Clock:
    hour: int


@dataclass
class Greeting:
    text: str


async def nobody(_: object) -> object:
    raise AssertionError


async def test_each_handler_receives_the_services_that_it_names_in_any_order() -> None:
    api = Api("greetings")

    @api.get("/greetings/{name}")
    async def greet(name: str, clock: Clock, *, greeting: Greeting) -> str:
        """Greet."""
        return f"{greeting.text} {name} at {clock.hour}"

    @api.get("/hour")
    async def tell(clock: Clock) -> int:
        """Tell the hour."""
        return clock.hour

    app = web.Application(middlewares=[outer_layer(lambda *_: None)])
    Mount(Services.of(Clock(7), Greeting("Hello")), nobody).onto(app, api.routes)
    async with served(app) as url, ClientSession(url) as session:
        assert await (await session.get("/greetings/Ada")).json() == "Hello Ada at 7"
        assert await (await session.get("/hour")).json() == 7


def test_a_service_that_was_not_opened_is_reported_before_the_first_request() -> None:
    api = Api("greetings")

    @api.get("/greeting")
    async def greet(greeting: Greeting) -> str:
        """Greet."""
        return greeting.text

    with pytest.raises(LookupError, match="Greeting"):
        Mount(Services.of(Clock(7)), nobody).onto(web.Application(), api.routes)


def test_a_parameter_without_a_source_is_reported_when_the_handler_is_declared() -> None:
    async def search(words: list[str]) -> str:
        """Search."""
        return words[0]

    with pytest.raises(TypeError, match="words is neither"):
        Api("searches").get("/searches")(search)
