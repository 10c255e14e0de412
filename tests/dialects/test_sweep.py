"""Every route of every dialect answers requests about things of another account as if these did not exist."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final
from urllib.parse import urlencode

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientSession
from uuid_utils.compat import uuid7

from api.service import Answer, Caller
from api.user_fixtures import Person, person
from counterfoil.core.opaque_ids import OpaqueIds
from counterfoil_api.dialects.canvus.ids import id_of
from counterfoil_api.dialects.register import DIALECTS
from counterfoil_api.operations.api import Route
from counterfoil_api.operations.reading import Source
from counterfoil_dev.postgres import Postgres
from dialects.accounts import Account
from dialects.dialect_clients import SPEAKERS, Speaker, Virtuozzo
from dialects.shapes import broken, dialect_of, refused

ROUTES: Final = [route for dialect in DIALECTS for route in dialect.api.routes]
NAMES: Final[dict[str, str]] = {
    "canvus path user": "user number",
    "canvus path token_id": "canvus id",
    "cloudflare path account_id": "account",
    "cloudflare path zone_id": "zone",
    "cloudflare path service_token_id": "token",
    "cloudflare headers CF-Access-Client-Id": "client id",
    "cloudflare headers CF-Access-Client-Secret": "secret",
    "losant path application_id": "application",
    "losant path token_id": "losant id",
    "scalingo path token_id": "token",
    "virtuozzo fields id": "number",
    "virtuozzo fields ids": "number",
}
"""What names something that an account has."""
WORDS: Final[dict[str, frozenset[str]]] = {
    "canvus": frozenset({"subscribe", "description", "name", "expires", "expires_at", "scopes"}),
    "cloudflare": frozenset({
        "name", "search", "page", "per_page", "duration", "enabled", "client_secret_version",
        "previous_client_secret_expires_at",
    }),
    "losant": frozenset({
        "sortField", "sortDirection", "page", "perPage", "filterField", "filter", "name", "description",
        "expirationDate", "scope", "status", "requestedScopes", "tokenTTL",
    }),
    "scalingo": frozenset({"token", "name"}),
    "virtuozzo": frozenset({
        "group", "service", "function", "search", "sortParam", "description", "tokenTemplate", "apiList", "expiresAt",
        "showPrivate",
    }),
}  # fmt: skip
"""What names nothing: text, times, choices, numbers."""
PROOFS: Final = frozenset({"email", "login", "password", "code", "twoFactorCode", "token", "X-Authorization-OTP"})
"""By which somebody shows who they are: those of another account are as good as there."""
BODIES: Final[dict[str, dict[str, Any]]] = {
    "canvus": {"description": "swept"},
    "cloudflare": {"name": "swept", "duration": "24h"},
    "losant": {"name": "swept"},
    "scalingo": {"name": "swept"},
}
FREE: Final = frozenset({
    "/canvus/api/v1/users/login", "/canvus/api/v1/users/logout", "/losant/auth/user",
    "/virtuozzo/1.0/users/authentication/rest/signin",
})  # fmt: skip
"""They take what they need from the request itself."""
_TURNS = count(1)
_NEW: Final = re.compile(r'"(?:created_at|updated_at|client_id|client_secret|id|expires_at)":"[^"]*"')

Things = Mapping[str, str]


@dataclass(frozen=True)
class Side:
    """An account, and its administrator in every dialect."""

    native: Caller
    account: Account
    speakers: dict[str, Speaker]
    user: Person
    """One of its users, whose number no other account has."""

    async def things(self, route: Route) -> dict[str, str]:
        """New things of every kind that the route can name."""
        name, dialect = f"swept-{next(_TURNS)}", dialect_of(route.path).name
        owner = {"type": "user", "id": self.user.id}
        if "{zone_id}" in route.path:
            owner = {"type": "service", "id": self.account.zone_id}
        elif dialect == "losant":
            owner = {"type": "application", "id": self.account.application_id}
        issued = await self.native.issue(name=name, owner=owner, lifetime="90d")
        token, number = issued["token"]["id"], issued["token"]["number"]
        if route.path.endswith("signoutsessions"):
            begun = await Virtuozzo.of(self.native.session, self.account)
            assert isinstance(begun, Virtuozzo)
            session = (await self.native.with_token(begun.session).get("/v1/tokens/self")).json
            token, number = session["id"], session["number"]
        found = {
            "token": token, "number": str(number), "secret": issued["secret"],
            "client id": f"{token.replace('-', '')}.access", "account": self.account.account.hex,
            "zone": self.account.zone_id, "application": self.account.application_id,
            "user number": str(self.user.number),
        }  # fmt: skip
        if "{token_id}" in route.path and dialect == "canvus":
            listed = await self.speakers[dialect].caller.get(f"/canvus/api/v1/users/{self.user.number}/access-tokens")
            found["canvus id"] = next(each["id"] for each in listed.json if each["description"] == name)
        if "{token_id}" in route.path and dialect == "losant":
            path = f"/losant/applications/{self.account.application_id}/tokens"
            page = await self.speakers[dialect].caller.get(path, filterField="name", filter=name)
            found["losant id"] = page.json["items"][0]["id"]
        return found

    async def ask(self, route: Route, things: Things) -> Answer:
        """Send a request that names these things."""
        dialect = dialect_of(route.path).name
        speaker, path, headers, body = self.speakers[dialect], route.path, {}, None
        for name in re.findall(r"{(\w+)}", path):
            path = path.replace(f"{{{name}}}", things.get(NAMES.get(f"{dialect} path {name}", ""), "swept"))
        for name in _headers(route):
            if (kind := NAMES.get(f"{dialect} headers {name}")) is not None:
                headers[name] = things[kind]
        if isinstance(speaker, Virtuozzo):
            fields = {"session": speaker.session, "password": self.account.admin_password, "description": "swept"}
            given = {name: things["number"] for name in ("id", "ids") if f"fields {name}" in set(_parameters(route))}
            sent = urlencode(fields | given)
            path, body = (f"{path}?{sent}", None) if route.method == "GET" else (path, sent.encode())
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif route.reads(Source.BODY):
            body = msgspec.json.encode(_body(route))
        return await speaker.caller.ask(route.method, path, body, headers=headers)


def _body(route: Route) -> object:
    return BODIES.get(dialect_of(route.path).name, {})


def _headers(route: Route) -> Iterator[str]:
    for parameter in route.parameters:
        if parameter.source is Source.HEADERS:
            yield from (each.encode_name for each in msgspec.structs.fields(parameter.type))


def _parameters(route: Route) -> Iterator[str]:
    """Every parameter of an operation, and where it is."""
    yield from (f"path {name}" for name in re.findall(r"{(\w+)}", route.path))
    for parameter in route.parameters:
        is_stated = parameter.source in (Source.QUERY, Source.BODY, Source.FIELDS, Source.HEADERS)
        if is_stated and isinstance(parameter.type, type) and issubclass(parameter.type, msgspec.Struct):
            names = (each.encode_name for each in msgspec.structs.fields(parameter.type))
            yield from (f"{parameter.source.value} {name}" for name in names)


def kinds_of(route: Route) -> list[str]:
    """The kinds of things that an operation names."""
    dialect = dialect_of(route.path).name
    return list(
        dict.fromkeys(NAMES[f"{dialect} {name}"] for name in _parameters(route) if f"{dialect} {name}" in NAMES)
    )


def never(like: Things) -> dict[str, str]:
    """Things that do not exist, in the same forms."""
    others, account = OpaqueIds(secrets.token_bytes(32)), uuid7()
    return {
        "token": str(uuid7()), "number": "987654321", "secret": "cfl_service_" + "a" * 49,
        "client id": f"{uuid7().hex}.access", "account": uuid7().hex, "zone": secrets.token_hex(16),
        "application": secrets.token_hex(12), "user number": "987654321",
        "canvus id": id_of(others, account, uuid7()), "losant id": others.number24("token", account, 7),
    } | {kind: text for kind, text in like.items() if kind == "secret"}  # fmt: skip


def shown(answer: Answer, requested: Things) -> str:
    """All of an answer except the caller's own values and time-dependent parts."""
    hidden = ("date", "x-request-id", "content-length")
    headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in hidden}
    message = answer.body.decode()
    for text in sorted(requested.values(), key=len, reverse=True):
        message = message.replace(text, "(asked)") if len(text) > 6 else message
    return f"{answer.status} {headers} {_NEW.sub('(new)', message)}"


async def state_of(side: Side, things: Things) -> list[Any]:
    """A token as its account sees it, without its last use."""
    token = (await side.native.get(f"/v1/tokens/{things['token']}")).json
    return [{**token, "last_used_at": None}, (await side.native.get(f"/v1/tokens/{token['id']}/events")).json]


TOLD_OF: Final = [route for route in ROUTES if kinds_of(route)]


def _name(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest_asyncio.fixture(scope="session")
async def sides(
    web_session: ClientSession, here: Account, there: Account, postgres_server: Postgres
) -> AsyncIterator[tuple[Side, Side]]:
    """Our account, whose things are named, and the strangers who send the requests."""
    connection = await asyncpg.connect(postgres_server.database("dialects").owner_url)
    await connection.execute(
        """
        insert into number_counter as c (account_id, kind, last)
        values ($1, 'token', 1000000), ($1, 'user', 1000000)
            on conflict (account_id, kind) do update set last = greatest(c.last, excluded.last)""",
        here.account,
    )  # numbers are counted for each account: give our things numbers that the strangers do not have
    await connection.close()
    found = []
    for account in (here, there):
        speakers = {each.name: await each.of(web_session, account) for each in SPEAKERS}
        native = Caller(web_session, f"Bearer {account.admin_token}")
        found.append(Side(native, account, speakers, await person(native)))
    yield found[0], found[1]


def test_every_parameter_of_every_dialect_is_in_the_table() -> None:
    unknown = [
        f"{_name(route)}: {name}"
        for route in ROUTES
        for name in _parameters(route)
        if f"{dialect_of(route.path).name} {name}" not in NAMES
        and name.partition(" ")[2] not in WORDS[dialect_of(route.path).name] | PROOFS
    ]
    assert unknown == [], "put it into NAMES or into WORDS"


@pytest.mark.parametrize("route", TOLD_OF, ids=_name)
async def test_every_dialect_answers_about_things_of_others_as_about_missing_ones(
    route: Route, sides: tuple[Side, Side]
) -> None:
    ours, strangers = sides
    foreign = await ours.things(route)
    before = await state_of(ours, foreign)
    for kinds in [*((kind,) for kind in kinds_of(route)), tuple(kinds_of(route))]:
        seen = []
        for things in (foreign, never(foreign)):
            requested = {**await strangers.things(route), **{kind: things[kind] for kind in kinds}}
            answer = await strangers.ask(route, requested)
            assert not broken(route.path, answer), answer
            seen.append((refused(route.path, answer), shown(answer, requested)))
        assert seen[0] == seen[1]
        assert seen[0][0] or "secret" in kinds_of(route), "something was found"
    assert await state_of(ours, foreign) == before
    answer = await ours.ask(route, foreign)
    assert not refused(route.path, answer), ("a question that finds nothing anywhere proves nothing", answer.body)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.path not in FREE], ids=_name)
async def test_every_dialect_requires_authentication(route: Route, web_session: ClientSession) -> None:
    path, virtuozzo = re.sub(r"{\w+}", "1", route.path), dialect_of(route.path).name == "virtuozzo"
    for caller in (Caller(web_session, ""), Caller(web_session, "Bearer nobody", {"Private-Token": "nobody"})):
        body = urlencode({"ids": 1, "id": 1}).encode() if virtuozzo else msgspec.json.encode(_body(route))
        form = {"Content-Type": "application/x-www-form-urlencoded"} if virtuozzo else {}
        sent = await caller.ask(route.method, path, None if route.method == "GET" else body, headers=form)
        assert refused(path, sent), sent
        assert sent.json["result"] == 701 if virtuozzo else sent.status == 401, sent
