"""Every parameter of every operation that can name a thing, found from the routes themselves."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

import msgspec
from uuid_utils.compat import uuid7

from api.service import Answer, Caller
from counterfoil.core.secret import mint
from counterfoil_api.operations.api import Route
from counterfoil_api.operations.reading import Source
from security.vocabulary import NAMES, PROOFS, WORDS

Where = Literal["path", "query", "body", "form"]

NEEDED: Final[dict[str, Any]] = {"sentence": "x", "scopes": ["swept.x"]}
"""What a body without an example must have."""
_FORM: Final = "application/x-www-form-urlencoded"
_CHANGING: Final = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+Z|cfl_[a-z]+_\w+|whsec_[\w+/=]+|eyJ[\w.-]+|\"number\":\d+|\"password\":\"[^\"]+|[0-9a-f]{12}@swept|\"iat\":\d+"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A parameter of an operation that names a thing, and the thing's kind."""

    route: Route
    where: Where
    name: str
    kind: str

    @property
    def operation(self) -> str:
        return f"{self.route.method} {self.route.path}"

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of things that a request in this place names."""
        path = re.findall(r"{(\w+)}", self.route.path)
        return frozenset({self.kind, *(kind for name in path for kind in NAMES.get(f"path {name}", ())[:1])})

    def __str__(self) -> str:
        return f"{self.operation} {self.where} {self.name}: {self.kind}"


@dataclass(slots=True)
class Things:
    """The things of an account by kind, and its cursors by list."""

    of: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, kind: str) -> str:
        return self.of[kind]


def places(routes: Iterable[Route]) -> list[Place]:
    """Every parameter of these operations that names a thing."""
    return [
        Place(route, where, name, kind)
        for route in routes
        for where, name in _told(route)
        for kind in NAMES.get(_known_as(where, name), ())
    ]


def unknown(routes: Iterable[Route]) -> list[str]:
    """Parameters of these operations that are in neither NAMES nor WORDS; add them there."""
    return [
        f"{route.method} {route.path}: {where} {name}"
        for route in routes
        for where, name in _told(route)
        if _known_as(where, name) not in {*NAMES, *WORDS, *PROOFS}
    ]


def _known_as(where: Where, name: str) -> str:
    """The key of a parameter in the tables: in a list of things it is that of one thing."""
    if where == "path":
        return f"path {name}"
    return name if name in PROOFS else name.rpartition("[].")[2].removeprefix("filter.")


def _told(route: Route) -> Iterator[tuple[Where, str]]:
    """Every parameter of an operation, and where it is."""
    for name in re.findall(r"{(\w+)}", route.path):
        yield "path", name
    for parameter in route.parameters:
        if parameter.source in (Source.QUERY, Source.BODY, Source.FORM):
            where: Where = parameter.source.value
            yield from ((where, name) for name in dict.fromkeys(_fields(msgspec.inspect.type_info(parameter.type))))


def _fields(info: Any, path: str = "") -> Iterator[str]:
    match info:
        case msgspec.inspect.StructType(fields=fields):
            for each in fields:
                yield from _fields(each.type, f"{path}.{each.encode_name}" if path else each.encode_name)
        case msgspec.inspect.UnionType(types=types):
            for member in types:
                yield from _fields(member, path)
        case msgspec.inspect.Metadata(type=inner):
            yield from _fields(inner, path)
        case msgspec.inspect.VarTupleType(item_type=inner) | msgspec.inspect.ListType(item_type=inner):
            yield from _fields(inner, f"{path}[]")
        case msgspec.inspect.NoneType():
            pass
        case _:
            yield path


CHOICES = {"owner_type": "service"}
"""What stands in a path and is one of few words."""


def random_things(like: Things) -> Things:
    """Random things of every kind that do not exist, as long as these."""
    kinds = ("scope", "set", "owner", "email")
    names = {str(kind): _random(like[kind], "-.@") for kind in kinds if kind in like.of}
    return Things({
        **names, "token": str(uuid7()), "token number": "987654321", "user": str(uuid7()), "user number": "987654321",
        "cursor": _random(like["cursor"], "-_="), "secret": mint("service").plain, "bulk_revocation": str(uuid7()),
        "subscription": str(uuid7()), "delivery": str(uuid7()),
        "plan": secrets.token_hex(32),
        "bearer": like.of.get("bearer", "")[:-40] + _random(like.of.get("bearer", "")[-40:], "-_"),
    })  # fmt: skip


def _random(text: str, kept: str) -> str:
    return "".join(c if c in kept else secrets.choice("abcdefghijkmnpqrstuvwxyz") for c in text)


@dataclass(frozen=True, slots=True)
class Question:
    """One request with a name in one of its places."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str]
    asked: str
    own: Things

    async def put(self, caller: Caller) -> Answer:
        return await caller.ask(self.method, self.path, self.body, headers=self.headers)

    def shown(self, answer: Answer) -> str:
        """All of an answer except the caller's own values and time-dependent parts."""
        hidden = ("date", "x-request-id")
        headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in hidden}
        said = f"{answer.status} {headers} {answer.body.decode()}"
        if not self.asked.isdigit():  # a short number occurs in many words, and is never repeated
            said = said.replace(self.asked, "(asked)")
        for kind in ("token", "user", "owner", "scope", "set", "bulk_revocation", "subscription", "delivery"):
            said = said.replace(self.own.of.get(kind, "(own)"), "(own)")
        if answer.status < 300:  # a thing was created or changed: its id and times differ
            said = _CHANGING.sub("(new)", said)
            said = re.sub(r"'(content-length|etag)': '[^']*'", "", said)
        return said


def question(place: Place, asked: str, own: Things, variant: str = "") -> Question:
    """Name a thing in one place; all other places name the caller's own things or nothing."""
    path, body, headers = place.route.path, None, {}
    if variant in ("If-Match", "Idempotency-Key"):
        headers[variant] = '"1"' if variant == "If-Match" else secrets.token_hex(16)
    for name in re.findall(r"{(\w+)}", path):
        if (place.where, place.name) == ("path", name):
            value = asked
        else:
            value = CHOICES.get(name) or own[NAMES[f"path {name}"][0]]
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    if variant == "as_of":
        path += "?as_of=1"
    if place.where == "query":
        path += "?" + urlencode({place.name: asked})
    if place.where == "form":
        fields = {key: value for key, value in _said(place.route, Source.FORM).items() if isinstance(value, str)}
        body, headers["Content-Type"] = urlencode({**fields, place.name: asked}).encode(), _FORM
    elif place.route.reads(Source.BODY):
        said = _said(place.route, Source.BODY)
        if place.where == "body":
            _put(said, place.name, asked)
        body = msgspec.json.encode(said)
    return Question(place.route.method, path, body, headers, asked, own)


def variants(place: Place) -> Iterator[str]:
    """Other forms of a request in this place."""
    said = {parameter.source for parameter in place.route.parameters}
    yield ""
    if place.where == "path":
        yield from (name for name in ("If-Match", "Idempotency-Key") if Source(name) in said)
        yield from ("as_of" for _, name in _told(place.route) if name == "as_of")


def _said(route: Route, source: Source) -> dict[str, Any]:
    """A valid body or form, without the name to be added."""
    if route.example is None:
        shape = next(each.type for each in route.parameters if each.source is source)
        return {each.encode_name: NEEDED[each.encode_name] for each in msgspec.structs.fields(shape) if each.required}
    said: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(route.example))
    for each in (said, said.get("administrator", {}), *said.get("tokens", [])):  # nothing can be added twice
        if "email" in each:
            each["email"] = f"{secrets.token_hex(6)}@swept.example"
        if "digest" in each:
            each["digest"]["value"] = secrets.token_hex(32)
    return said


def _put(said: dict[str, Any], name: str, value: str) -> None:
    *outer, last = name.split(".")
    if outer == ["filter"]:
        said["filter"] = {}  # by nothing else
    for part in outer:
        inner = said.get(part.removesuffix("[]")) or {"type": "service"}
        said[part.removesuffix("[]")] = inner
        said = inner[0] if part.endswith("[]") else inner
    if last.endswith("[]"):
        said[last.removesuffix("[]")] = [value]
    else:
        said[last] = value
