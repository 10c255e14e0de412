"""Events of a token."""

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
    """A token was created. `thresholds` are seconds before its expiry at which notice is given.

    `imported` names the algorithm of the digest of a secret from elsewhere; None is a secret that was made here.
    `epoch` is how often all secrets of the account had been ended before this one was made. `hint` shows how the
    secret begins; a token with a `trust` has no secret and an empty hint.
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
    """Its name, description or metadata (private), its scopes, or its bounds changed.

    `previous_until` is the new end of its previous secret; null ends that at once. A `trust` that is stated, in this
    epoch, begins a new generation: bearers issued under the previous one end.
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

    With `forgets_use` it counts as never exchanged from then on. `ended_early` is when the secret before the
    previous one, which this rotation ended, would have ended by itself.
    """

    generation: int
    previous_until: datetime | None
    hint: str
    epoch: int = 0
    forgets_use: bool | UnsetType = UNSET
    ended_early: datetime | UnsetType = UNSET


class RotationConfirmed(Event, frozen=True, kw_only=True):
    """Its previous secret, which would have ended at `ended_early`, ended now.

    With `unused` its new secret had never been used, and the caller insisted.
    """

    ended_early: datetime
    unused: bool | UnsetType = UNSET


class GraceExtended(Event, frozen=True, kw_only=True):
    """Its previous secret is accepted longer: until `previous_until`."""

    previous_until: datetime


class GraceEnding(Event, frozen=True, kw_only=True):
    """Less than `threshold` seconds are left of the grace of its previous secret, which is still in use.

    `uses` counts its uses since the rotation.
    """

    threshold: int
    previous_until: datetime
    uses: int
    last_used_at: datetime


class Asserted(msgspec.Struct, frozen=True, kw_only=True):
    """What decided the exchange of a JWT: its issuer, the claims that the trust names, and its sub.

    `jti` is the SHA-256, in hex, of the issuer, a line feed and its jti; None if it had none.
    """

    issuer: str
    claims: dict[str, str]
    jti: str | None


class Exchanged(Event, frozen=True, kw_only=True):
    """A short-lived bearer, named by its `jti`, was issued for it.

    `actors` act on its owner's behalf, the last one first. With an `assertion` a JWT of the token's trusted issuer was
    exchanged.
    """

    jti: UUID
    generation: int
    audience: tuple[str, ...]
    scopes: tuple[str, ...]
    expires_at: datetime
    actors: tuple[UUID, ...] = ()
    assertion: Asserted | UnsetType = UNSET


class Suspended(Event, frozen=True, kw_only=True, omit_defaults=True):
    """It is refused for now. The owner may undo only a suspension `by_owner`."""

    by_owner: bool = False


class Resumed(Event, frozen=True, kw_only=True):
    """It is accepted again."""


class Expiring(Event, frozen=True, kw_only=True):
    """Less than `threshold` seconds are left of this lifetime."""

    threshold: int
    expires_at: datetime


class Expired(Event, frozen=True, kw_only=True):
    """Its expiry has passed. The sweep writes this event, and verification does not wait for it."""

    expires_at: datetime


class Revoked(Event, frozen=True, kw_only=True):
    """It is refused for ever; the reason is private. `bulk_revocation` names the one that it was a part of."""

    bulk_revocation: UUID | None = None


class Erased(Event, frozen=True, kw_only=True):
    """The private parts of all that happened before were removed."""


TokenEvent = (
    Created | Updated | Renewed | Rotated | RotationConfirmed | GraceExtended | GraceEnding | Exchanged | Suspended
    | Resumed | Expiring | Expired | Revoked | Erased
)  # fmt: skip

# These words are sealed in every entry. They are never renamed and never reused.
TOKEN_EVENTS: Final[dict[str, type[Event]]] = {
    "created": Created,
    "updated": Updated,
    "renewed": Renewed,
    "rotated": Rotated,
    "rotation_confirmed": RotationConfirmed,
    "grace_extended": GraceExtended,
    "grace_ending": GraceEnding,
    "exchanged": Exchanged,
    "suspended": Suspended,
    "resumed": Resumed,
    "expiring": Expiring,
    "expired": Expired,
    "revoked": Revoked,
    "erased": Erased,
}

UNREVISED: Final = frozenset({"exchanged", "expiring", "grace_ending"})
"""Events that change nothing that readers act on: they leave the revision, and so the ETag, as it was."""
