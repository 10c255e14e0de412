"""The exact bytes of the log: canonical entries, their leaf hashes, and back again.

An entry is JSON with sorted ASCII keys, no floats, no insignificant space, in UTF-8 (what RFC 8785 would give too), and
is hashed as stored text, never after a round trip through a parser. Times are RFC 3339 in UTC with a Z, microseconds
only where they are not zero. Entry format 0 may change until the first release; afterwards never.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec

from counterfoil.core.events import Event, Fact, Private, Subject
from counterfoil.core.principal import Actor
from counterfoil.core.refusals import EntryTooLarge

ENTRY_LIMIT: Final = 65_535
"""Bytes; what a uint16 length in an entry bundle can say (C2SP tlog-tiles)."""
SALT_LENGTH: Final = 32

_encoder: Final = msgspec.json.Encoder(order="sorted")


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sealed entry, as read back. `prev` is the leaf hash of the subject's previous entry, base64."""

    account: UUID
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    by: Actor
    data: dict[str, Any]
    prev: str | None
    private: str | None
    subject: Subject
    type: str
    v: Literal[0]
    version: int


_decoder: Final = msgspec.json.Decoder(Entry)


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a fact: the entry, the private part beside it, and the leaf hash that the next one links to."""

    entry: bytes
    private: bytes | None
    salt: bytes | None
    leaf: bytes


def canonical(value: object) -> bytes:
    """Return the one JSON spelling of a value."""
    return _encoder.encode(value)


def seal(fact: Fact, *, prev: bytes | None, salt: bytes) -> Sealed:
    """Return the bytes of a fact. `salt` is 32 fresh random bytes, used only if there is a private part.

    Raises EntryTooLarge over 65,535 bytes.
    """
    data = msgspec.to_builtins(fact.event)
    said = data.pop("private", None)
    private = None if said is None else canonical(said)
    # These bytes are sealed. Reordering, renaming or reformatting here breaks every log ever written.
    entry = canonical(
        {
            "account": fact.account,
            "at": fact.at,
            "by": fact.by,
            "data": data,
            "prev": None if prev is None else _base64(prev),
            "private": None if private is None else _base64(commitment(salt, private)),
            "subject": fact.subject,
            "type": fact.type,
            "v": 0,
            "version": fact.version,
        }
    )
    if len(entry) > ENTRY_LIMIT:
        raise EntryTooLarge(f"The event would have {len(entry):,} bytes. {EntryTooLarge.__doc__}")
    return Sealed(entry=entry, private=private, salt=None if private is None else salt, leaf=leaf_hash(entry))


def leaf_hash(entry: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ entry), the leaf hash of RFC 6962."""
    return hashlib.sha256(b"\x00" + entry).digest()


def commitment(salt: bytes, private: bytes) -> bytes:
    """Return SHA-256(salt ‖ private): binds the entry to its private part, and tells nothing once the salt is gone."""
    return hashlib.sha256(salt + private).digest()


def entry_of(text: bytes | str) -> Entry:
    """Read an entry. Raises msgspec.ValidationError on anything that is not one."""
    try:
        return _decoder.decode(text)
    except RecursionError:  # ours are flat
        raise msgspec.ValidationError("Nested too deeply") from None


def fact_of(entry: Entry, private: bytes | str | None, kinds: Mapping[str, Mapping[str, type[Event]]]) -> Fact:
    """Return the fact in an entry and its private part; `kinds` maps subject kind and event type to event classes."""
    event_type = kinds[entry.subject.kind][entry.type]
    said = None if private is None else msgspec.json.decode(private, type=Private)
    event = msgspec.convert({**entry.data, "private": said}, event_type)
    return Fact(
        account=entry.account, subject=entry.subject, version=entry.version, type=entry.type, at=entry.at,
        by=entry.by, event=event,
    )  # fmt: skip


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
