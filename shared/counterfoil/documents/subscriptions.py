"""Subscriptions and deliveries: the bodies of requests, and the documents that callers read."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.core import text
from counterfoil.core.refusals import BadTarget, Refuses
from counterfoil.core.subjects.subscription_events import SUBSCRIBABLE
from counterfoil.documents.events import ActorDocument
from counterfoil.documents.fields import Given, Glob, Name, Private, Scope, Span, one_of
from counterfoil.documents.owners import OwnerDocument, OwnerGiven

EventType = Literal[
    "created", "updated", "renewed", "rotated", "rotation_confirmed", "grace_extended", "grace_ending", "suspended",
    "resumed", "expiring", "expired", "revoked",
]  # fmt: skip
Events = Annotated[
    tuple[EventType, ...], Meta(min_length=1, max_length=20, description="The events of tokens that are sent.")
]
TargetUrl = Annotated[
    str,
    Meta(
        description="Where to post: an https URL; http only to hosts for which the operator allows it.",
        examples=["https://hooks.example.org/counterfoil"],
        extra_json_schema={"pattern": "^https?://", "maxLength": 2_048},
    ),
    Refuses((BadTarget,)),
]
Threshold = Annotated[Span, Meta(description="Only notices of at most so long before the expiry.", examples=["7d"])]
Overlap = Annotated[
    Span, Meta(description="How long messages are also signed with the previous secret.", examples=["24h"])
]
Ordered = Annotated[
    bool, Meta(description="Send one event only after the one before was received; one that fails holds the others up.")
]


class NewSubscription(Given, frozen=True, kw_only=True):
    """Which events of which tokens are sent, and where; what is null does not matter."""

    name: Name
    url: TargetUrl
    events: Events
    owner: OwnerGiven | None = None
    token_name: Glob | None = None
    scope: Scope | None = None
    threshold: Threshold | None = None
    ordered: Ordered = False


class SubscriptionChanges(Given, frozen=True, kw_only=True):
    """The fields to change; a missing field stays as it is, null removes a condition."""

    name: Name | UnsetType = UNSET
    url: TargetUrl | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    owner: OwnerGiven | UnsetType | None = UNSET
    token_name: Glob | UnsetType | None = UNSET
    scope: Scope | UnsetType | None = UNSET
    threshold: Threshold | UnsetType | None = UNSET
    ordered: Ordered | UnsetType = UNSET


class SecretRotation(Given, frozen=True, kw_only=True):
    """How long the present secret stays good; `ends_previous` ends one from an earlier rotation now."""

    overlap: Overlap = "24h"
    ends_previous: bool = False


class SubscriptionDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription, never with its secret."""

    id: UUID
    name: str | None
    url: str
    events: tuple[str, ...]
    owner: OwnerDocument | None
    token_name: str | None
    scope: str | None
    threshold: str | None
    ordered: bool
    status: Annotated[str, one_of("active", "paused", "disabled", "removed")]
    disabled_because: Annotated[
        str | None, one_of("gone"), Meta(description="`gone`: the receiver answered with the HTTP status 410.")
    ]
    previous_secret_until: Annotated[
        datetime | None, Meta(description="Until then messages are also signed with the previous secret.")
    ]
    created_at: datetime
    created_by: ActorDocument
    updated_at: datetime
    revision: int


class SubscriptionWithSecret(Private, frozen=True, kw_only=True):
    """A subscription with its new secret, which is shown once."""

    subscription: SubscriptionDocument
    secret: Annotated[str, Meta(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazUDsPtjlKs="])]


class SubscriptionPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of subscriptions, the oldest first."""

    items: list[SubscriptionDocument]
    next_cursor: str | None


class DeliveryDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one subscription. `id` is the webhook-id of every attempt.

    Pending: it will be sent; delivered: the receiver answered with a status of 2xx; dead: given up; cancelled: not
    sent, and `reason` says why.
    """

    id: UUID
    subscription: UUID
    subject: Annotated[UUID, Meta(description="The token; for a test message the subscription.")]
    version: Annotated[int, Meta(description="Of the event, in the history of its subject.")]
    type: Annotated[str, one_of(*SUBSCRIBABLE, "test")]
    status: Annotated[str, one_of("pending", "delivered", "dead", "cancelled")]
    reason: str | None
    attempts: int
    created_at: datetime
    next_attempt_at: Annotated[datetime | None, Meta(description="Null once it has ended.")]
    attempted_at: datetime | None
    ended_at: datetime | None
    response_status: Annotated[int | None, Meta(description="The HTTP status of the last reply.")]
    excerpt: Annotated[
        str | None, Meta(description="How the last reply began.", extra_json_schema={"pattern": text.PATTERN})
    ]


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of deliveries, the latest events first."""

    items: list[DeliveryDocument]
    next_cursor: str | None


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """The delivery of a test message: it is there within about a second."""

    delivery: UUID
