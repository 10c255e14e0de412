"""A client of the Virtuozzo API, by GET or POST, and a service for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession

from api.service import Caller, founded, served, settings_for
from api.user_fixtures import PASSWORD, Person, person
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import OWNER, Postgres

AUTHENTICATION = "users.authentication"


@dataclass(frozen=True, slots=True)
class Jelastic:
    """A client of the API, with a session or a token."""

    http: ClientSession
    session: str = ""
    password: str = PASSWORD
    verb: str = "GET"

    async def call(self, method: str, **parameters: object) -> Any:
        """The answer to a call of this method; a list is sent as repeated fields, None as an empty one."""
        group, service, function = method.lower().split(".")
        path = f"/virtuozzo/1.0/{group}/{service}/rest/{function}"
        given = {"appid": "cluster"} | ({"session": self.session} if self.session else {}) | parameters
        sent = [(name, "" if each is None else str(each)) for name, value in given.items() for each in _every(value)]
        place = {"params": sent} if self.verb == "GET" else {"data": sent}
        async with self.http.request(self.verb, path, **place) as answer:  # type: ignore[arg-type] # one of the two
            assert answer.status == 200
            assert answer.content_type == "application/json"
            body = msgspec.json.decode(await answer.read())
        assert body["result"] == 0 or body["error"]
        return body

    async def auth(self, function: str, **parameters: object) -> Any:
        """Call a method for tokens and sessions, which must succeed."""
        answer = await self.call(f"{AUTHENTICATION}.{function}", **parameters)
        assert answer["result"] == 0, answer
        return answer

    async def refused(self, function: str, **parameters: object) -> int:
        """The error code with which such a method is refused."""
        answer = await self.call(f"{AUTHENTICATION}.{function}", **parameters)
        assert answer["result"] != 0, answer
        return int(answer["result"])

    async def change(self, function: str, **parameters: object) -> Any:
        """A change, confirmed with the password."""
        return await self.auth(function, password=self.password, **parameters)

    async def made(self, description: str = "a token", **parameters: object) -> Any:
        """A new token."""
        return (await self.change("CreateToken", description=description, **parameters))["token"]

    def using(self, session: str) -> "Jelastic":
        """The same client with another session or token."""
        return replace(self, session=session)

    async def signed_in(self, login: str, password: str) -> "Jelastic":
        """The same client with a session of this user."""
        session = (await self.auth("Signin", login=login, password=password))["session"]
        return replace(self, session=session, password=password)


@dataclass(frozen=True, slots=True)
class World:
    """A service with two accounts; the first has an administrator and a member who may call every method."""

    url: str
    http: ClientSession
    ours: dict[str, str]
    theirs: dict[str, str]
    admin: Caller
    person: Person

    def client(self, verb: str = "GET") -> Jelastic:
        """A client without a session."""
        return Jelastic(self.http, verb=verb)

    async def member(self, verb: str = "GET") -> Jelastic:
        """The member, signed in."""
        return await self.client(verb).signed_in(self.person.login, PASSWORD)

    async def administrator(self, verb: str = "GET") -> Jelastic:
        """The administrator, signed in."""
        return await self.client(verb).signed_in(self.ours["admin_login"], self.ours["admin_password"])

    async def stranger(self, verb: str = "GET") -> Jelastic:
        """The administrator of the other account, signed in."""
        return await self.client(verb).signed_in(self.theirs["admin_login"], self.theirs["admin_password"])


@asynccontextmanager
async def world(postgres: Postgres, template: str, directory: Path, name: str, **more: str) -> AsyncIterator[World]:
    """A separate service."""
    postgres.run(f"create database {name} owner {OWNER} template {template};")
    settings = settings_for(postgres.database(name).app_url, **more)
    ours, theirs = [await founded(settings, each, _made(directory / each)) for each in ("ours", "theirs")]
    async with served(make_app(settings)) as url, ClientSession(url) as http:
        admin = Caller(http, f"Bearer {ours['admin_token']}")
        member = await person(admin, scopes=("virtuozzo.*",))
        yield World(url, http, ours, theirs, admin, member)
    postgres.run(f"drop database if exists {name} with (force);")


def _every(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
