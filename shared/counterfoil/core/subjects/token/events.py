"""What can happen to a token, in the past tense."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from counterfoil.core.events import Event
from counterfoil.core.principal import Owner
from counterfoil.core.trust import Trust


class Created(Event, frozen=True, kw_only=True):
    """A token came to be. `thresholds` are seconds before its expiry at which notice is given.

    `imported` names the algorithm by which a secret from elsewhere is known; None is a secret that was made here.
    `epoch` is how often all secrets of the account had been ended before this one was made.
    A token that has a `trust` has no secret, and an empty hint.
    """

    number: int
    owner: Owner
    scopes: tuple[str, ...]
    lifetime: str | None
    expires_at: datetime | None
    thresholds: tuple[int, ...]
    hint: str
    generation: int = 1
    dialect: str = "native"
    cloned_from: UUID | None = None
    imported: str | None = None
    epoch: int = 0
    networks: tuple[str, ...] | UnsetType = UNSET
    rate_limit: str | UnsetType = UNSET
    max_uses: int | UnsetType = UNSET
    trust: Trust | UnsetType = UNSET


class Updated(Event, frozen=True, kw_only=True):
    """Its name, description or metadata (private), its scopes, or from where and how often it may be used changed.

    `previous_until` is the new end of its previous secret; null ended that at once. A `trust` that was stated, in this
    epoch, begins a new generation: bearers bought under the one before ended.
    """

    scopes: tuple[str, ...] | UnsetType = UNSET
    networks: tuple[str, ...] | UnsetType = UNSET
    rate_limit: str | UnsetType | None = UNSET
    max_uses: int | UnsetType | None = UNSET
    trust: Trust | UnsetType = UNSET
    epoch: int | UnsetType = UNSET
    previous_until: datetime | UnsetType | None = UNSET


class Renewed(Event, frozen=True, kw_only=True):
    """Its expiry moved; the secret stays."""

    expired_at: datetime | None
    expires_at: datetime | None
    lifetime: str | None


class Rotated(Event, frozen=True, kw_only=True):
    """It has a new secret, made in this epoch; the previous one is accepted until `previous_until`, or no longer.

    Where it `forgets_use`, it counts as never exchanged from then on. `ended_early` is when the secret before the
    previous one, which this rotation ended, would have ended by itself.
    """

    generation: int
    previous_until: datetime | None
    hint: str
    epoch: int = 0
    forgets_use: bool | UnsetType = UNSET
    ended_early: datetime | UnsetType = UNSET


class Asserted(msgspec.Struct, frozen=True, kw_only=True):
    """What of a JWT decided an exchange: its issuer, the claims that were asked for, and its sub.

    `jti` is the SHA-256, in hex, of the issuer, a line feed and its jti; None if it had none.
    """

    issuer: str
    claims: dict[str, str]
    jti: str | None


class Exchanged(Event, frozen=True, kw_only=True):
    """It bought a short-lived bearer, named by its `jti`; `actors` act on its owner's behalf, the last one first.

    With an `assertion` a JWT of the token's trusted issuer bought it.
    """

    jti: UUID
    generation: int
    audience: tuple[str, ...]
    scopes: tuple[str, ...]
    expires_at: datetime
    actors: tuple[UUID, ...] = ()
    assertion: Asserted | UnsetType = UNSET


class Suspended(Event, frozen=True, kw_only=True, omit_defaults=True):
    """It is refused for now. Only a suspension `by_owner`, who had no other power over it, is the owner's to undo."""

    by_owner: bool = False


class Resumed(Event, frozen=True, kw_only=True):
    """It is accepted again."""


class Expiring(Event, frozen=True, kw_only=True):
    """Less than `threshold` seconds are left of this lifetime."""

    threshold: int
    expires_at: datetime


class Expired(Event, frozen=True, kw_only=True):
    """Its time has passed; said by the sweep, which verification never waits for."""

    expires_at: datetime


class Revoked(Event, frozen=True, kw_only=True):
    """It is refused for ever; the reason is private. `bulk_revocation` is the one that it was a part of."""

    bulk_revocation: UUID | None = None


class Erased(Event, frozen=True, kw_only=True):
    """The private parts of all that happened before were removed."""


TokenEvent = (
    Created | Updated | Renewed | Rotated | Exchanged | Suspended | Resumed | Expiring | Expired | Revoked | Erased
)

# These words are sealed in every entry. They are never renamed and never reused.
TOKEN_EVENTS: Final[dict[str, type[Event]]] = {
    "created": Created,
    "updated": Updated,
    "renewed": Renewed,
    "rotated": Rotated,
    "exchanged": Exchanged,
    "suspended": Suspended,
    "resumed": Resumed,
    "expiring": Expiring,
    "expired": Expired,
    "revoked": Revoked,
    "erased": Erased,
}

UNREVISED: Final = frozenset({"exchanged", "expiring"})
"""Happenings that change nothing a reader acts on: they leave the revision, and so the ETag, as it was."""
