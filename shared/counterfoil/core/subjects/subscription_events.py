"""Events and commands of subscriptions: which events of the account's tokens are sent, and where."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from counterfoil.core.events import Event
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import (
    BadDuration,
    BadOwner,
    BadScope,
    BadTarget,
    BadText,
    NotFound,
    PreviousSecretGood,
    SubscriptionInactive,
    TooManySubscriptions,
)
from counterfoil.core.subjects.subject import Command, Key
from counterfoil.core.subjects.token.events import TOKEN_EVENTS

SUBSCRIBABLE: Final = tuple(name for name in TOKEN_EVENTS if name not in {"exchanged", "erased"})
"""The events of tokens that can be sent. An exchange is a use, and an erasure changes nothing that callers act on."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events of which tokens are sent; what is None does not matter.

    `name` is a glob. A token has the `scope` if one of its scopes contains it. Of `expiring` only notices of at most
    `threshold` seconds before the expiry are sent.
    """

    events: tuple[str, ...]
    owner: Owner | None = None
    name: str | None = None
    scope: str | None = None
    threshold: int | None = None


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent from now on; the name, the URL and the glob are in the private part of the event."""

    events: tuple[str, ...]
    owner: Owner | None = None
    scope: str | None = None
    threshold: int | None = None
    ordered: bool = False


class SubscriptionCreated(Event, frozen=True, kw_only=True):
    """Events that happen from now on are sent."""

    definition: Definition


class SubscriptionUpdated(Event, frozen=True, kw_only=True):
    """Other events are sent from now on, or to another URL."""

    definition: Definition


class SubscriptionPaused(Event, frozen=True, kw_only=True):
    """Nothing is sent for now; what happens meanwhile is sent after the pause."""


class SubscriptionResumed(Event, frozen=True, kw_only=True):
    """It is sent again."""


class WebhookSecretRotated(Event, frozen=True, kw_only=True):
    """Messages are signed with a new secret, and with the previous one until `previous_until`; null ends that now."""

    previous_until: datetime | None


class SubscriptionDisabled(Event, frozen=True, kw_only=True):
    """Nothing is sent until it is resumed, because the receiver is `gone` (it answered with the HTTP status 410)."""

    because: Literal["gone"]


class SubscriptionRemoved(Event, frozen=True, kw_only=True):
    """It is over, and its secrets are deleted."""


class SubscriptionTested(Event, frozen=True, kw_only=True):
    """A test message is sent."""


class Redelivered(Event, frozen=True, kw_only=True):
    """A delivery, or null for all dead ones, is sent again."""

    delivery: UUID | None


# These words are sealed in every entry. They are never renamed and never reused.
EVENTS: Final[dict[str, type[Event]]] = {
    "created": SubscriptionCreated,
    "updated": SubscriptionUpdated,
    "paused": SubscriptionPaused,
    "resumed": SubscriptionResumed,
    "secret_rotated": WebhookSecretRotated,
    "disabled": SubscriptionDisabled,
    "removed": SubscriptionRemoved,
    "tested": SubscriptionTested,
    "redelivered": Redelivered,
}


class EncryptedSecret(msgspec.Struct, frozen=True):
    """A new webhook secret, encrypted as it is stored."""

    content: bytes

    def __repr__(self) -> str:
        return "EncryptedSecret(…)"


class CreateSubscription(Command, frozen=True, kw_only=True):
    """Send events to a URL; an account has at most `most` subscriptions."""

    refusals = (BadTarget, BadText, BadScope, BadOwner, BadDuration, TooManySubscriptions)

    name: str
    url: str
    filter: Filter
    ordered: bool = False
    secret: EncryptedSecret
    most: int

    @property
    def guards(self) -> tuple[Key, ...]:
        """The row of the account: its subscriptions are counted."""
        return ((self.account, self.account),)


class UpdateSubscription(Command, frozen=True, kw_only=True):
    """Change what is stated; None removes a condition."""

    refusals = (BadTarget, BadText, BadScope, BadOwner, BadDuration, NotFound)

    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    events: tuple[str, ...] | UnsetType = UNSET
    owner: Owner | UnsetType | None = UNSET
    token_name: str | UnsetType | None = UNSET
    scope: str | UnsetType | None = UNSET
    threshold: int | UnsetType | None = UNSET
    ordered: bool | UnsetType = UNSET


class PauseSubscription(Command, frozen=True, kw_only=True):
    """Send nothing for now."""

    refusals = (NotFound,)


class ResumeSubscription(Command, frozen=True, kw_only=True):
    """Send again, after a pause or after it was disabled."""

    refusals = (NotFound,)


class RotateWebhookSecret(Command, frozen=True, kw_only=True):
    """Sign with a new secret, and for `overlap_seconds` with the present one as well."""

    refusals = (BadDuration, NotFound, PreviousSecretGood)

    secret: EncryptedSecret
    overlap_seconds: int
    ends_previous: bool = False


class DisableSubscription(Command, frozen=True, kw_only=True):
    """Send nothing more, because the receiver is gone."""

    because: Literal["gone"] = "gone"


class RemoveSubscription(Command, frozen=True, kw_only=True):
    """End a subscription; what was not sent yet is cancelled."""

    refusals = (NotFound,)


class SendTest(Command, frozen=True, kw_only=True):
    """Send a test message."""

    refusals = (NotFound, SubscriptionInactive)


class Redeliver(Command, frozen=True, kw_only=True):
    """Send a delivery again, or all dead ones."""

    refusals = (NotFound, SubscriptionInactive)

    delivery: UUID | None = None


COMMANDS: Final = (
    CreateSubscription, UpdateSubscription, PauseSubscription, ResumeSubscription, RotateWebhookSecret,
    DisableSubscription, RemoveSubscription, SendTest, Redeliver,
)  # fmt: skip
