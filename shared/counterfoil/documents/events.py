"""Events as callers read them, and the actors and subjects that they name."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType


class ActorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it, and what they are called now: a token's number and name, a user's number and e-mail address.

    `number` and `name` are null for who is gone, was erased, or may not be seen by who asks. The answer to a change
    does not have them.
    """

    kind: str
    id: UUID
    number: int | UnsetType | None = UNSET
    name: str | UnsetType | None = UNSET


class EventDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened: what it says is in `data`; names and free text, until they are erased, in `private`."""

    version: int
    type: str
    at: datetime
    by: ActorDocument
    data: dict[str, Any]
    private: dict[str, Any] | None


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events, and where the next ones begin."""

    items: list[EventDocument]
    next_cursor: str | None


class SubjectDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What an event is about."""

    kind: str
    id: UUID


class ChangeDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One field, as it was and as it became."""

    before: Any
    after: Any


class AccountEventDocument(EventDocument, frozen=True, kw_only=True):
    """One thing that happened to the account, a user, a scope, a set of scopes or a bulk revocation."""

    subject: ActorDocument
    changes: Annotated[
        dict[str, ChangeDocument] | None,
        Meta(description="By field, such as policy.networks; null for a subject that has over 1,000 events by then."),
    ]


class AccountEventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events, and where the next ones begin."""

    items: list[AccountEventDocument]
    next_cursor: str | None
