"""Whether a token is accepted at a moment, and why a secret is refused."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, Protocol

import msgspec

from counterfoil.core.bounds import Bounds, Limits, OwnerQuota
from counterfoil.core.principal import Principal, on_behalf
from counterfoil.core.refusals import (
    BeyondOwner,
    Denied,
    OwnerDisabled,
    SecretEnded,
    SecretRetired,
    TokenExpired,
    TokenRevoked,
    TokenSuspended,
    UsesExhausted,
)  # fmt: skip
from counterfoil.core.subjects.account import UNBOUND, Policy
from counterfoil.core.subjects.token.secret_uses import UNUSED, SecretUses
from counterfoil.core.subjects.token.state import Token

OWNER_USED_UP: Final = (
    "The tokens of this owner were used as often as the owner's quota allows; its `max_uses` can be raised."
)
Status = Literal["active", "suspended", "expired", "revoked"]


class Accepted(Protocol):
    """The fields that decide whether a secret is accepted; a token's state and a look-up's row both have them."""

    @property
    def status(self) -> str: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def generation(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def previous_until(self) -> datetime | None: ...
    @property
    def previous_epoch(self) -> int: ...


class Context(msgspec.Struct, frozen=True):
    """The facts besides the token itself that decide whether it is accepted, and with which scopes.

    Secrets of an earlier `epoch` were ended: epochs are counted, since no clock is right at all times and everywhere.
    `owner` is the status of the user that owns it, `owner_holds` all that the user may do; other owners have the
    defaults. `maker` is the caller that stated the token's trust, with all that it holds at this moment; None if it may
    do nothing any more. `quota` is that of the owner, `used` and `owner_used` are the uses of the token and of all
    tokens of its owner, where they are limited. `secret_uses` are read only for the commands that depend on them.
    """

    policy: Policy = UNBOUND
    epoch: int = 0
    owner: str = "active"
    owner_holds: tuple[str, ...] | None = None
    maker: Principal | None = None
    quota: OwnerQuota | None = None
    used: int = 0
    owner_used: int = 0
    secret_uses: SecretUses = UNUSED

    def limits(self, bounds: Bounds) -> Limits:
        """Return what a use of a token with these bounds is counted against."""
        return Limits(bounds.rate_limit, bounds.max_uses, self.quota)

    def left_of(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """Return the effective scopes of a token with these scopes: never more than its user's."""
        return scopes if self.owner_holds is None else on_behalf(self.owner_holds, scopes)

    def refuse_beyond_owner(self, scopes: tuple[str, ...]) -> None:
        """Raise BeyondOwner for scopes that the user who owns the token does not hold."""
        left = frozenset(self.left_of(scopes))
        if lacking := [scope for scope in scopes if scope not in left]:
            raise BeyondOwner(
                f"The user who owns this token does not hold {', '.join(lacking[:5])}; grant it to the user first.",
                missing=lacking[:20],
            )


ALONE: Final = Context()
"""A context in which nothing refuses the token."""


def refusal_for(token: Accepted, generation: int, at: datetime, context: Context = ALONE) -> Denied | None:
    """Return why a secret (or bearer) of this generation is refused at this moment, or None if it is accepted.

    The exact instant of expiry is already too late.
    """
    if token.status == "revoked":
        return TokenRevoked()
    if generation != token.generation:
        until = token.previous_until
        if generation != token.generation - 1 or until is None or at >= until:
            return SecretRetired()
    if (token.epoch if generation == token.generation else token.previous_epoch) < context.epoch:
        return SecretEnded()
    if context.owner == "removed":
        return OwnerDisabled("The user who owned this token was removed; issue a token for another owner instead.")
    if context.owner != "active":
        return OwnerDisabled()
    if token.expires_at is not None and token.expires_at <= at:
        return TokenExpired()
    if token.status == "suspended":
        return TokenSuspended()
    return None


def previous_is_good(token: Accepted, at: datetime, context: Context = ALONE) -> bool:
    """Say whether the secret before the present one is still within its grace."""
    return token.previous_until is not None and at < token.previous_until and token.previous_epoch >= context.epoch


def used_up(bounds: Bounds, context: Context) -> UsesExhausted | None:
    """Return the refusal of a valid secret whose token, or whose owner, has no uses left; else None."""
    if bounds.max_uses is not None and context.used >= bounds.max_uses:
        return UsesExhausted()
    most = None if context.quota is None else context.quota.max_uses
    if most is not None and context.owner_used >= most:
        return UsesExhausted(OWNER_USED_UP, of="owner")
    return None


def good_until(token: Accepted, generation: int) -> datetime | None:
    """Return when a secret of this generation expires; None means never."""
    ends = [end for end in (token.expires_at, token.previous_until if generation < token.generation else None) if end]
    return min(ends, default=None)


def status_at(token: Token, at: datetime, context: Context = ALONE) -> Status:
    """Return the status, with the expiry applied at its instant, even if the sweep has not announced it yet.

    A token whose user was removed is revoked: nobody can ever use it again.
    """
    if token.status == "revoked" or context.owner == "removed":
        return "revoked"
    if token.expires_at is not None and token.expires_at <= at:
        return "expired"
    return token.status
