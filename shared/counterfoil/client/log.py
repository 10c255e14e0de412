"""The lines of the log: one for each event, and lines that only state how far the API has read."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from counterfoil.client.documents import Actor, Subject
from counterfoil.client.spelling import unintelligible

_DIGITS: Final = 20


class PrivatePart(msgspec.Struct, frozen=True):
    """Names and free text of an event, as `text` in JSON; the entry holds SHA-256(salt ‖ text) as `private`."""

    text: str
    salt: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the text; raises Unintelligible."""
        try:
            return msgspec.json.decode(self.text, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError) as error:
            raise unintelligible(error) from None

    def __repr__(self) -> str:
        return "PrivatePart(…)"


class LogEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event at its place in the log.

    `entry` is the sealed text, byte for byte, and `line` the received line; the other fields come from the entry.
    `private` is None if nothing is private, if it was erased, or if the caller may not see it.
    """

    position: int
    entry: str
    private: PrivatePart | None
    account: UUID
    kind: str
    subject: UUID
    version: int
    type: str
    at: datetime
    by: Actor
    data: dict[str, Any]
    line: bytes


class Mark(msgspec.Struct, frozen=True):
    """The API has read up to this position; None if the line does not state it."""

    position: int | None


class _Line(msgspec.Struct, frozen=True):
    position: int | None = None
    entry: str | None = None
    private: PrivatePart | None = None
    end: str | None = None


class _Entry(msgspec.Struct, frozen=True):
    account: UUID
    at: datetime
    by: Actor
    data: dict[str, Any]
    subject: Subject
    type: str
    version: int


_lines = msgspec.json.Decoder(_Line)
_entries = msgspec.json.Decoder(_Entry)


def head(text: str) -> int:
    """Return the end of the log from a header; raises Unintelligible."""
    if not (text.isascii() and text.isdecimal() and len(text) < _DIGITS):
        raise unintelligible(ValueError("it does not say where the log ends"))
    return int(text)


def read(line: bytes) -> LogEvent | Mark:
    """Decode a line; raises Unintelligible."""
    try:
        given = _lines.decode(line)
        if given.entry is None and (given.position is not None or given.end is not None):
            return Mark(given.position)
        if given.entry is None or given.position is None:
            raise msgspec.ValidationError("A line of the log without a position")
        entry = _entries.decode(given.entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unintelligible(error) from None
    return LogEvent(
        position=given.position, entry=given.entry, private=given.private, account=entry.account,
        kind=entry.subject.kind, subject=entry.subject.id, version=entry.version, type=entry.type, at=entry.at,
        by=entry.by, data=entry.data, line=line,
    )  # fmt: skip
