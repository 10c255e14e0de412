"""Events and the facts that they become; the events of each kind stand with it in `core/subjects`.

The fields of an event are sealed as its `data`, except `private`: names and free text, which an entry only commits to
by a salted hash, so that they can be erased. No event holds a secret or its digest.

A field may be added with a default. Renaming or removing one is a new version of the event: codec.UPCASTS has a
function that reads the old one.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from counterfoil.core.principal import Actor

Conditions = dict[str, str | bool | list[int] | dict[str, str]]
"""A filter of tokens, by its fields."""


class Private(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Names and free text, which may be erased later; fields that were not stated are UNSET."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    filter: Conditions | UnsetType = UNSET
    url: str | UnsetType = UNSET


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    private: Private = Private()


class Subject(msgspec.Struct, frozen=True, order=True):
    """What an event is about."""

    kind: str
    id: UUID


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its subject, its version, when it happened, and who caused it."""

    account: UUID
    subject: Subject
    version: int
    type: str
    at: datetime
    by: Actor
    event: Event
