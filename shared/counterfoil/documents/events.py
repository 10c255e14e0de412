"""Events as callers read them, and the actors and subjects that they name."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.documents.fields import Page


class ActorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An actor, with its present number and name; a user's name is their e-mail address.

    `number` and `name` are null if the actor is gone or erased, or if the caller may not see it. The reply to a change
    does not have them.
    """

    kind: str
    id: UUID
    number: int | UnsetType | None = UNSET
    name: str | UnsetType | None = UNSET


class EventDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An event: its facts are in `data`; names and free text, until they are erased, in `private`."""

    version: int
    type: str
    at: datetime
    by: ActorDocument
    data: dict[str, Any]
    private: dict[str, Any] | None


class EventPage(Page[EventDocument], frozen=True, kw_only=True):
    """A page of events."""


class PrivatePart(msgspec.Struct, frozen=True, kw_only=True):
    """The private part of an entry, which contains only the SHA-256 of the salt's bytes followed by the text's."""

    text: str
    salt: Annotated[bytes, Meta(description="32 bytes in base64.")]


class LogLine(msgspec.Struct, frozen=True):
    """One sealed event: its position, the text of the sealed entry, and its private part.

    `private` is null if there is none, if it was erased, or if the caller may not read it.
    """

    position: int
    entry: str
    private: PrivatePart | None


class SubjectDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The subject of an event."""

    kind: str
    id: UUID


class ChangeDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A field before and after an event."""

    before: Any
    after: Any


class AccountEventDocument(EventDocument, frozen=True, kw_only=True):
    """An event of the account, a user, a scope, a set of scopes or a bulk revocation."""

    subject: ActorDocument
    changes: Annotated[
        dict[str, ChangeDocument] | None,
        Meta(description="By field, such as policy.networks; null for a subject that has over 1,000 events by then."),
    ]


class AccountEventPage(Page[AccountEventDocument], frozen=True, kw_only=True):
    """A page of events."""
