"""The exact bytes of the log: write canonical entries, hash them, and read them back.

An entry is JSON in UTF-8 with sorted ASCII keys, without floats and insignificant space (RFC 8785 gives the same). Its
stored text is hashed, never the result of parsing it. Times are RFC 3339 in UTC with a Z; microseconds are written only
if they are not zero. The format may change until the first release; afterwards never.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import reduce
from types import MappingProxyType
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from counterfoil.core.events import Event, Fact, Private, Subject
from counterfoil.core.principal import Actor
from counterfoil.core.refusals import EntryTooLarge

ENTRY_LIMIT: Final = 65_535
"""Bytes; the largest uint16, which is the length field of an entry bundle (C2SP tlog-tiles)."""
SALT_LENGTH: Final = 32

_encoder: Final = msgspec.json.Encoder(order="sorted")


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sealed entry, as read back. `prev` is the leaf hash of the subject's previous entry, in base64.

    `v` is the version of its data: how often the fields of this type of event had changed when it was written.
    """

    account: UUID
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    by: Actor
    data: dict[str, Any]
    prev: str | None
    private: str | None
    subject: Subject
    type: str
    v: Annotated[int, msgspec.Meta(ge=0)]
    version: int


_decoder: Final = msgspec.json.Decoder(Entry)

Data = dict[str, Any]
Upcasts = Mapping[tuple[str, str], tuple[Callable[[Data], Data], ...]]

# Entries are never rewritten. If you rename or remove a field of an event, add a function at the end of its row.
UPCASTS: Final[Upcasts] = MappingProxyType({})
"""By subject kind and event type: functions that turn data of version 0 into version 1, then 2, and so on."""


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """The stored form of a fact: its entry, its private part, and the leaf hash that the next entry links to."""

    entry: bytes
    private: bytes | None
    salt: bytes | None
    leaf: bytes


def canonical(value: object) -> bytes:
    """Return the canonical JSON of a value."""
    return _encoder.encode(value)


def seal(fact: Fact, *, prev: bytes | None, salt: bytes) -> Sealed:
    """Return the bytes of a fact. `salt` is 32 fresh random bytes, which are used only if a private field is stated.

    Raises EntryTooLarge over 65,535 bytes.
    """
    data = msgspec.to_builtins(fact.event)
    stated = data.pop("private", None)
    private = canonical(stated) if stated else None
    # These bytes are sealed. Reordering, renaming or reformatting here breaks every log ever written.
    entry = canonical(
        {
            "account": fact.account,
            "at": fact.at,
            "by": fact.by,
            "data": data,
            "prev": None if prev is None else base64_of(prev),
            "private": None if private is None else base64_of(commitment(salt, private)),
            "subject": fact.subject,
            "type": fact.type,
            "v": _version_of(fact.subject.kind, fact.type),
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
    """Return SHA-256(salt ‖ private). It binds the entry to its private part, and reveals nothing without the salt."""
    return hashlib.sha256(salt + private).digest()


def entry_of(text: bytes | str) -> Entry:
    """Return the entry as it was written.

    Raises msgspec.ValidationError on anything else, and on a version that only a later program can read.
    """
    try:
        entry = _decoder.decode(text)
    except RecursionError:  # real entries are flat
        raise msgspec.ValidationError("Nested too deeply") from None
    if entry.v > _version_of(entry.subject.kind, entry.type):
        raise msgspec.ValidationError(f"Version {entry.v} of {entry.type} is not known")
    return entry


def upcast(entry: Entry) -> Entry:
    """Return the entry with its data in the present version."""
    steps = UPCASTS.get((entry.subject.kind, entry.type), ())
    data = reduce(lambda data, step: step(data), steps[entry.v :], entry.data)
    return msgspec.structs.replace(entry, v=len(steps), data=data)


def fact_of(entry: Entry, private: bytes | str | None, kinds: Mapping[str, Mapping[str, type[Event]]]) -> Fact:
    """Return the fact in an entry and its private part; `kinds` maps subject kind and event type to event classes."""
    event_type = kinds[entry.subject.kind][entry.type]
    decoded = Private() if private is None else msgspec.json.decode(private, type=Private)
    event = msgspec.convert({**upcast(entry).data, "private": decoded}, event_type)
    return Fact(
        account=entry.account, subject=entry.subject, version=entry.version, type=entry.type, at=entry.at,
        by=entry.by, event=event,
    )  # fmt: skip


def _version_of(kind: str, event_type: str) -> int:
    return len(UPCASTS.get((kind, event_type), ()))


def base64_of(raw: bytes) -> str:
    """Return bytes in the base64 that entries use."""
    return base64.b64encode(raw).decode("ascii")
