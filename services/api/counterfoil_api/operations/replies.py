"""The replies that a handler's return type states, and the responses made of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import ClassVar, Generic, TypeVar, get_args, get_origin

import msgspec
from aiohttp import web

from counterfoil_api.operations.etags import etag
from counterfoil_api.operations.streaming import Streamed

T = TypeVar("T")

JSON = "application/json"
NO_STORE = "no-store"
REPLAYED = "Idempotency-Replayed"
"""The header of an answer that repeats the first one to the same Idempotency-Key."""
TOKEN_HEADERS = ("Token-Expires-At", "Token-Sunset", "Token-Number", "Token-Replaced")
"""The headers that say when the token of the caller ends."""
_NONE: Mapping[str, str] = MappingProxyType({})

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Reply(Generic[T]):
    """A document, with the status and the headers of its answer."""

    status: ClassVar[int] = 200
    header_names: ClassVar[tuple[str, ...]] = ()
    body: T

    def headers(self) -> Mapping[str, str]:
        return _NONE


@dataclass(frozen=True)
class Tagged(Reply[T]):
    """A document and its revision, which becomes the ETag."""

    header_names: ClassVar[tuple[str, ...]] = ("ETag",)
    revision: int

    def headers(self) -> Mapping[str, str]:
        return {"ETag": etag(self.revision)}


@dataclass(frozen=True)
class Made(Tagged[T]):
    """Something that was created, and its address."""

    status = 201
    header_names = ("ETag", "Location")
    location: str

    def headers(self) -> Mapping[str, str]:
        return {"ETag": etag(self.revision), "Location": self.location}


class New(Reply[T]):
    """Something that was created, in an API that states neither a revision nor an address."""

    status = 201


class Nothing:
    """The operation succeeded, and the answer has no body."""


class Accepted(Reply[T]):
    """The request was accepted; its outcome is not known yet."""

    status = 202


@dataclass(frozen=True, slots=True)
class Page:
    """A reply in another media type than JSON, perhaps with headers of its own."""

    content: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplyShape:
    """What a return type states: the body, the status, and further headers."""

    body: type
    status: int
    headers: tuple[str, ...]


Write = Callable[[object], web.StreamResponse]
Wrap = Callable[[object], object]


def reply_shape(returned: type, envelope: type | None = None) -> ReplyShape:
    """Return the shape of a handler's replies, with the body in an envelope if there is one."""
    shape = _shape(returned)
    return shape if envelope is None or _has(shape.body, envelope) else replace(shape, body=_within(envelope, shape))


def _has(body: type, envelope: type) -> bool:
    """Return whether a handler puts its answer into the envelope itself, or has no JSON answer."""
    return body in (Page, Nothing) or issubclass(get_origin(body) or body, envelope)


def _within(envelope: type, shape: ReplyShape) -> type:
    return envelope[shape.body]  # type: ignore[index,no-any-return] # an envelope is a generic struct


def _shape(returned: type) -> ReplyShape:
    generic = get_origin(returned)
    if isinstance(generic, type) and issubclass(generic, Reply):
        return ReplyShape(get_args(returned)[0], generic.status, generic.header_names)
    body = get_args(returned)[0] if generic is Streamed else returned
    return ReplyShape(body, 204 if returned is Nothing else 200, ())


def writer(returned: type, *, cache: str, more: Mapping[str, str] = _NONE, envelope: type | None = None) -> Write:
    """Return the function from a handler's reply to the response; `more` are further headers."""
    if get_origin(returned) is Streamed:
        return lambda reply: _streamed(reply, cache)
    if returned is Page:
        return lambda reply: _page(reply, cache)
    if returned is Nothing:
        return lambda _: web.Response(status=204, headers={"Cache-Control": cache, **more})
    fixed = {"Content-Type": JSON, "Cache-Control": cache, **more}
    status, wrap = _shape(returned).status, _wrapping(returned, envelope)

    def write(reply: object) -> web.Response:
        if isinstance(reply, Reply):
            return web.Response(body=encode(wrap(reply.body)), status=status, headers={**fixed, **reply.headers()})
        return web.Response(body=encode(wrap(reply)), status=status, headers=fixed)

    return write


def _wrapping(returned: type, envelope: type | None) -> Wrap:
    if envelope is None or _has(_shape(returned).body, envelope):
        return lambda body: body
    return lambda body: envelope(result=body)


def _page(reply: object, cache: str) -> web.Response:
    assert isinstance(reply, Page)  # noqa: S101 - the handler's signature states it
    headers = {"Content-Type": reply.content_type, "Cache-Control": cache, **reply.headers}
    return web.Response(body=reply.content, headers=headers)


def _streamed(reply: object, cache: str) -> web.StreamResponse:
    assert isinstance(reply, Streamed)  # noqa: S101 - the handler's signature states it
    return reply.response(cache=cache)
