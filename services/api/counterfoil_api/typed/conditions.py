"""If-Match and ETag: a caller may say which revision they have seen."""

import re

from counterfoil_api.edge.complaints import InvalidPrecondition

# RFC 9110 8.8.3: an opaque tag is any visible character but the double quote.
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_SEPARATOR = re.compile(r"[ \t]*,[ \t,]*")
_REVISION = re.compile(r"[1-9][0-9]{0,15}")


def expectation(header: str) -> frozenset[int] | None:
    """The revisions that an If-Match header accepts, None for any; weak tags are refused: changes compare strongly."""
    text = header.strip(" \t")
    if text == "*":
        return None
    return frozenset(revision for tag in _tags(text) if (revision := _revision(tag)) is not None)


def etag(revision: int) -> str:
    """How a revision is written on the wire."""
    return f'"{revision}"'


def _tags(text: str) -> list[str]:
    tags, at = [], 0
    while True:
        match = _TAG.match(text, at)
        if match is None:
            raise InvalidPrecondition
        if match[1]:
            raise InvalidPrecondition("If-Match compares strongly, so a weak tag (W/) never matches; omit W/.")
        tags.append(match[2])
        at = match.end()
        if at == len(text):
            return tags
        separator = _SEPARATOR.match(text, at)
        if separator is None:
            raise InvalidPrecondition
        at = separator.end()


def _revision(tag: str) -> int | None:
    return int(tag) if _REVISION.fullmatch(tag) else None
