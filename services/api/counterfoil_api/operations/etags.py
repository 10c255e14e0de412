"""ETag, If-Match and If-None-Match: a caller may state the revision, or the document, that they have seen.

The answer to a change has the revision as its tag, `"3"`. A GET adds a digest of the document, `"3-9c1185a5c5e9fc54"`,
since a document also changes without a revision: a token is used, or expires. If-Match compares the revision alone, so
that a use in between prevents no change; If-None-Match compares the whole tag, so that a 304 hides no use.
"""

import re
from hashlib import blake2b
from typing import Final, NamedTuple

from aiohttp import web

from counterfoil_api.http.errors import InvalidPrecondition, WeakTag

MATCH: Final = "If-Match"
NONE_MATCH: Final = "If-None-Match"
_KEPT: Final = ("ETag", "Cache-Control", "Vary")
"""The headers of the full answer that a 304 repeats (RFC 9110 15.4.5)."""
_DIGEST_BYTES: Final = 8

# RFC 9110 8.8.3: an opaque tag is any visible character but the double quote. 5.6.1: empty elements are ignored.
_ELEMENT: Final = re.compile(r'[ \t,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,[ \t,]*|\Z)')
# Proxies that compress an answer change its tag, each in its own way: `"3-gzip"`, `"3;gzip"`, `W/"3"`.
_OURS: Final = re.compile(
    r"(?P<own>(?P<revision>[1-9][0-9]{0,15})(?:-[0-9a-f]{16})?)(?:(?:--?|;)(?:gzip|br|zstd|deflate))?"
)


class Tag(NamedTuple):
    """One entity tag of a header."""

    opaque: str
    weak: bool

    @property
    def own(self) -> str:
        """The tag as this service sent it, without the change of a proxy."""
        match = _OURS.fullmatch(self.opaque)
        return match["own"] if match else self.opaque

    @property
    def revision(self) -> int | None:
        """The revision that the tag states, None for a tag that this service does not send."""
        match = _OURS.fullmatch(self.opaque)
        return int(match["revision"]) if match else None


def etag(revision: int) -> str:
    """Return the entity tag of a revision."""
    return f'"{revision}"'


def field(request: web.Request, name: str) -> str | None:
    """Return a header with all its lines joined, None if it is missing."""
    lines = request.headers.getall(name, None)
    return None if lines is None else ", ".join(lines)


def expectation(header: str) -> frozenset[int] | None:
    """Return the revisions that an If-Match header accepts, None for any; weak tags never match (RFC 9110 13.1.1)."""
    tags = tags_of(header, name=MATCH)
    if tags is None:
        return None
    return frozenset(tag.revision for tag in tags if not tag.weak and tag.revision is not None)


def refuse_weak(header: str | None) -> None:
    """Raise WeakTag if an If-Match header failed because it states a weak tag of this service."""
    for tag in [] if header is None else tags_of(header, name=MATCH) or []:
        if tag.weak and tag.revision is not None:
            raise WeakTag(f'W/"{tag.opaque}" never matches, since If-Match compares strongly; send "{tag.own}".')


def with_etag(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Return the answer to a GET with its tag, or 304 if the caller has the document already (RFC 9110 13.1.2)."""
    if "ETag" not in response.headers or not (isinstance(response, web.Response) and isinstance(response.body, bytes)):
        return response
    own = f"{response.headers['ETag'][1:-1]}-{blake2b(response.body, digest_size=_DIGEST_BYTES).hexdigest()}"
    response.headers["ETag"] = f'"{own}"'
    header = field(request, NONE_MATCH)
    if header is None:
        return response
    tags = tags_of(header, name=NONE_MATCH)
    if tags is not None and own not in {tag.own for tag in tags}:
        return response
    kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
    return web.Response(status=304, headers=kept)


def tags_of(header: str, *, name: str) -> list[Tag] | None:
    """Return the entity tags of a header of this name, None for `*`; raises InvalidPrecondition."""
    text = header.strip(" \t")
    if text == "*":
        return None
    tags: list[Tag] = []
    at = 0
    while at < len(text) or not tags:
        match = _ELEMENT.match(text, at)
        if match is None:
            raise InvalidPrecondition(f'{name} takes * or entity tags in double quotes, such as "3".')
        tags.append(Tag(match[2], weak=match[1] is not None))
        at = match.end()
    return tags
