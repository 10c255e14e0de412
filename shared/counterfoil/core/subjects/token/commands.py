"""Commands to a token.

A command carries the ids, numbers and minted secrets that its events use, so that decisions need no randomness. It
carries no time: the door reads the clock after it has locked the row.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from counterfoil.core.bounds import UNLIMITED, Address, Limits
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import (
    AlreadyRevoked,
    BadDuration,
    BadExpiry,
    BadQuota,
    BeyondCaller,
    BeyondOwner,
    BeyondPolicy,
    EntryTooLarge,
    LifetimeRequired,
    LifetimeUnwanted,
    NewSecretUnused,
    NoSecret,
    NothingToRenew,
    NoTrust,
    OwnerQuotaExceeded,
    PreviousSecretEnded,
    PreviousSecretGood,
    RenewsItself,
    UserGone,
)  # fmt: skip
from counterfoil.core.secret import Minted
from counterfoil.core.subjects.subject import Command, Key, Unresolved
from counterfoil.core.trust import Assertion, Trust


class TokenCommand(Command, frozen=True, kw_only=True):
    """A command to one token."""


class Create(TokenCommand, frozen=True, kw_only=True):
    """Create a token; with neither a lifetime nor an expiry it never expires, unless the policy has a default.

    A stated expiry lies in the future, unless it `may_have_expired`: then it may have passed. A lifetime
    counts from the moment of creation, or from when a token that is imported was `made_at` elsewhere.
    `undescribed` are its scopes that the account's catalogue does not describe. `imported_digests` are the digests
    under which an imported secret may be stored already. A `number` is taken when the command goes to the door.
    A token has either a secret or a trust.
    """

    refusals = (
        BeyondCaller, BeyondOwner, BeyondPolicy, UserGone, OwnerQuotaExceeded, BadExpiry, BadQuota, EntryTooLarge,
    )  # fmt: skip

    number: int = 0
    owner: Owner
    name: str
    secret: Minted | None
    trust: Trust | None = None
    description: str = ""
    scopes: tuple[str, ...] = ()
    metadata: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    lifetime: str | None = None
    expires_at: datetime | None = None
    thresholds: tuple[int, ...] = ()
    dialect: str = "native"
    cloned_from: UUID | None = None
    networks: tuple[str, ...] = ()
    rate_limit: str | None = None
    max_uses: int | None = None
    imported_digests: tuple[bytes, ...] = ()
    undescribed: tuple[str, ...] = ()
    may_have_expired: bool = False
    made_at: datetime | None = None

    @property
    def digests(self) -> tuple[bytes, ...]:
        """Digests under which an imported secret may be stored already."""
        return self.imported_digests

    @property
    def users(self) -> tuple[Key, ...]:
        return () if self.owner.user is None else ((self.account, self.owner.user),)

    @property
    def reads_account(self) -> bool:
        """Always: the policy and the epoch decide what the token becomes."""
        return True

    @property
    def pepper(self) -> int | None:
        return None if self.secret is None else self.secret.pepper_id


class Update(TokenCommand, frozen=True, kw_only=True):
    """Change its fields; those that are UNSET stay. `undescribed` as for Create.

    `previous_until` moves the end of the previous secret while that is still accepted; a past moment ends it at once.
    """

    refusals = (AlreadyRevoked, BeyondCaller, BeyondOwner, BeyondPolicy, BadQuota, EntryTooLarge, NoTrust)

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    scopes: tuple[str, ...] | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    undescribed: tuple[str, ...] = ()
    networks: tuple[str, ...] | UnsetType = UNSET
    rate_limit: str | UnsetType | None = UNSET
    max_uses: int | UnsetType | None = UNSET
    trust: Trust | UnsetType = UNSET
    previous_until: datetime | UnsetType = UNSET


class Renew(TokenCommand, frozen=True, kw_only=True):
    """Move its expiry; with neither a lifetime nor an expiry it is renewed for its own lifetime from now.

    With `keeps_lifetime` and an expiry, the token's own lifetime stays for later renewals; without, it has none.
    """

    refusals = (AlreadyRevoked, BeyondCaller, BeyondPolicy, BadExpiry, NothingToRenew, RenewsItself, OwnerQuotaExceeded)

    lifetime: str | None = None
    expires_at: datetime | None = None
    keeps_lifetime: bool = False


class Rotate(TokenCommand, frozen=True, kw_only=True):
    """Replace its secret; the present one stays valid for `grace_seconds`, or until `previous_until`.

    At most two secrets are valid at once: an earlier grace period is cut short only with `ends_previous`, or if this
    rotation has no grace itself. An expired token needs a new lifetime too. With `forgets_use` it counts as never
    exchanged afterwards.
    """

    refusals = (
        BeyondCaller, BeyondPolicy, AlreadyRevoked, BadExpiry, OwnerQuotaExceeded, LifetimeRequired, LifetimeUnwanted,
        PreviousSecretGood, NoSecret,
    )  # fmt: skip

    secret: Minted
    grace_seconds: int = 0
    previous_until: datetime | None = None
    ends_previous: bool = False
    forgets_use: bool = False
    lifetime: str | None = None
    expires_at: datetime | None = None

    @property
    def pepper(self) -> int | None:
        return self.secret.pepper_id

    @property
    def states_lifetime(self) -> bool:
        """Whether it states a lifetime: required for an expired token, refused for any other."""
        return self.lifetime is not None or self.expires_at is not None


class ConfirmRotation(TokenCommand, frozen=True, kw_only=True):
    """End its previous secret now. While the new one was never used, this is refused unless `even_if_unused`."""

    refusals = (AlreadyRevoked, BeyondCaller, PreviousSecretEnded, NewSecretUnused)

    even_if_unused: bool = False


class ExtendGrace(TokenCommand, frozen=True, kw_only=True):
    """Accept its previous secret for `grace_seconds` from now, which is longer than before. One that ended stays so."""

    refusals = (AlreadyRevoked, BadDuration, BeyondCaller, PreviousSecretEnded)

    grace_seconds: int


class Suspend(TokenCommand, frozen=True, kw_only=True):
    """Refuse it for now."""

    refusals = (AlreadyRevoked,)

    reason: str = ""


class Resume(TokenCommand, frozen=True, kw_only=True):
    """Accept it again."""

    refusals = (AlreadyRevoked, BeyondCaller)


class Revoke(TokenCommand, frozen=True, kw_only=True):
    """Refuse it for ever. `bulk_revocation` names the one that this is a part of.

    With the `generation` of a presented secret, it revokes only if that secret opens the token, or could again.
    """

    reason: str
    bulk_revocation: UUID | None = None
    generation: int | None = None

    @property
    def principals(self) -> tuple[Principal, ...]:
        """None for an accepted bulk revocation: it continues even after it revoked the token that requested it."""
        return super().principals if self.bulk_revocation is None else ()


class Erase(TokenCommand, frozen=True, kw_only=True):
    """Erase its names and free text."""


class Held(msgspec.Struct, frozen=True):
    """The rights of a bearer that is exchanged; the new bearer gets no more than these."""

    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    expires_at: datetime


class Exchange(TokenCommand, frozen=True, kw_only=True):
    """Issue a bearer for the secret of this generation, or for a bearer of it. `scopes=None` requests all scopes.

    `actors` are the tokens that act on the owner's behalf, the present one first, which then is the caller. `counted`
    are the limits against which this call was counted already. With an `assertion` a JWT is exchanged under the
    token's trust, and the generation is the present one.
    """

    refusals = (BeyondCaller, EntryTooLarge)

    generation: int
    assertion: Assertion | None = None
    jti: UUID
    lifetime_seconds: int
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] | None = None
    held: Held | None = None
    actors: tuple[UUID, ...] = ()
    address: Address | None = None
    counted: Limits = UNLIMITED

    @property
    def principals(self) -> tuple[Principal, ...]:
        """The token that acts for the owner; otherwise the row of the exchanged token decides."""
        return (self.by,) if self.actors else ()

    @property
    def reads_account(self) -> bool:
        """Never: the account is read with the token's row."""
        return False


class ExchangeSecret(Unresolved, frozen=True, kw_only=True):
    """Exchange the token that one of these digests opens; it is found when the row is locked.

    `client` is the token that the secret must open, if the caller named one; `counted` as for Exchange.
    """

    client: UUID | None = None
    jti: UUID
    lifetime_seconds: int
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] | None = None
    actor: Principal | None = None
    address: Address | None = None
    counted: Limits = UNLIMITED

    @property
    def principals(self) -> tuple[Principal, ...]:
        return () if self.actor is None else (self.actor,)


class Sweep(TokenCommand, frozen=True, kw_only=True):
    """Announce a coming expiry, or the expiry itself."""


class AnnounceGrace(TokenCommand, frozen=True, kw_only=True):
    """Announce that the grace of its previous secret ends within `notice_seconds`, if somebody still uses it."""

    notice_seconds: int


COMMANDS: Final = (
    Create, Update, Renew, Rotate, ConfirmRotation, ExtendGrace, Suspend, Resume, Revoke, Erase, Exchange,
    ExchangeSecret, Sweep, AnnounceGrace,
)  # fmt: skip
