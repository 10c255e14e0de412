"""What a handler's return type says of the reply, and how it is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar, get_args, get_origin

import msgspec
from aiohttp import web

from counterfoil_api.typed.conditions import etag
from counterfoil_api.typed.streaming import Streamed

T = TypeVar("T")

JSON = "application/json"
NO_STORE = "no-store"
REPLAYED = "Idempotency-Replayed"
"""Beside an answer that was given before, under the same Idempotency-Key."""
_NONE: Mapping[str, str] = MappingProxyType({})

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Tagged(Generic[T]):
    """A document and the revision that it shows, which travels as its ETag."""

    body: T
    revision: int


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """Something that was not there before, and where it is now."""

    body: T
    revision: int
    location: str


@dataclass(frozen=True, slots=True)
class Accepted(Generic[T]):
    """It was taken in; what came of it is not said here."""

    body: T


@dataclass(frozen=True, slots=True)
class Page:
    """A reply that is not JSON of ours."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class ReplyShape:
    """What a return type promises: the body, the status, and the headers beside it."""

    body: type
    status: int
    headers: tuple[str, ...]


Write = Callable[[object], web.StreamResponse]


def reply_shape(returned: type) -> ReplyShape:
    """What the return type of a handler promises."""
    origin = get_origin(returned)
    if origin is Tagged:
        return ReplyShape(get_args(returned)[0], 200, ("ETag",))
    if origin is Made:
        return ReplyShape(get_args(returned)[0], 201, ("ETag", "Location"))
    if origin is Accepted:
        return ReplyShape(get_args(returned)[0], 202, ())
    if origin is Streamed:
        return ReplyShape(get_args(returned)[0], 200, ())
    return ReplyShape(returned, 200, ())


def writer(returned: type, *, cache: str, more: Mapping[str, str] = _NONE) -> Write:
    """How what a handler returns becomes a response; `more` are headers beside its own."""
    fixed = {"Content-Type": JSON, "Cache-Control": cache, **more}
    origin = get_origin(returned)
    if origin is Tagged:
        return lambda reply: _tagged(reply, fixed)
    if origin is Made:
        return lambda reply: _made(reply, fixed)
    if origin is Accepted:
        return lambda reply: _accepted(reply, fixed)
    if origin is Streamed:
        return lambda reply: _streamed(reply, cache)
    if returned is Page:
        return lambda reply: _page(reply, cache)
    return lambda reply: web.Response(body=encode(reply), headers=fixed)


def _tagged(reply: object, fixed: Mapping[str, str]) -> web.Response:
    assert isinstance(reply, Tagged)  # noqa: S101 - the handler's signature said so
    return web.Response(body=encode(reply.body), headers={**fixed, "ETag": etag(reply.revision)})


def _made(reply: object, fixed: Mapping[str, str]) -> web.Response:
    assert isinstance(reply, Made)  # noqa: S101 - the handler's signature said so
    headers = {**fixed, "ETag": etag(reply.revision), "Location": reply.location}
    return web.Response(body=encode(reply.body), status=201, headers=headers)


def _accepted(reply: object, fixed: Mapping[str, str]) -> web.Response:
    assert isinstance(reply, Accepted)  # noqa: S101 - the handler's signature said so
    return web.Response(body=encode(reply.body), status=202, headers=fixed)


def _page(reply: object, cache: str) -> web.Response:
    assert isinstance(reply, Page)  # noqa: S101 - the handler's signature said so
    return web.Response(body=reply.content, headers={"Content-Type": reply.content_type, "Cache-Control": cache})


def _streamed(reply: object, cache: str) -> web.StreamResponse:
    assert isinstance(reply, Streamed)  # noqa: S101 - the handler's signature said so
    return reply.response(cache=cache)
