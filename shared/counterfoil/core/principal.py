"""Callers, and the rights that they may grant to the tokens and users that they create."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal
from uuid import UUID

import msgspec

from counterfoil.core.bounds import UNBOUNDED, Bounds, OwnerQuota
from counterfoil.core.refusals import BeyondCaller
from counterfoil.core.scopes import EVERYTHING, contains, meet, missing

_UUID: Final = re.compile(r"[0-9A-Fa-f]{32}")
NIL: Final = UUID(int=0)
"""The account of the system itself."""


class Actor(msgspec.Struct, frozen=True, order=True):
    """The caller that caused an event, by its opaque id."""

    kind: Literal["user", "token", "system"]
    id: UUID


class Owner(msgspec.Struct, frozen=True):
    """The user, application or service for which a token acts; the id is opaque and no personal data."""

    type: Literal["user", "application", "service"]
    id: str

    @property
    def user(self) -> UUID | None:
        """The user's id, in any spelling; None if the owner is not a user."""
        bare = self.id.replace("-", "")
        return UUID(bare) if self.type == "user" and _UUID.fullmatch(bare) else None


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A user or a token, as authenticated for one request.

    `owner` is the owner of the token, or the user itself. `expires_at` is when the presented credential expires: for a
    bearer its own expiry, not that of its token. `generation` is that of the secret, or of the password. `bounds` say
    from where and how often a token may be used, `quota` limits all tokens of its owner; a user has neither.
    """

    actor: Actor
    account: UUID
    scopes: tuple[str, ...]
    owner: Owner | None = None
    expires_at: datetime | None = None
    generation: int | None = None
    bounds: Bounds = UNBOUNDED
    quota: OwnerQuota | None = None
    delegated: bool = False
    """Whether another token acts on its behalf, with a bearer from a token exchange."""
    acting: tuple[tuple[UUID, int], ...] = ()
    """The acting tokens of the bearer, each with the generation of its secret: the bearer ends with any of them."""
    signed_with: str = ""
    """The id of the signing key of the bearer, which ends with that key."""

    def lacks(self, scope: str) -> bool:
        """Say whether the principal may not do what this scope allows."""
        return bool(missing(self.scopes, (scope,)))

    def is_token(self, token_id: UUID) -> bool:
        """Say whether this token itself calls."""
        return self.actor == Actor("token", token_id)


ANYBODY: Final = Owner("user", "*")
"""The owner of a grant whose holder is not known yet: it equals no owner."""
SYSTEM: Final = Principal(actor=Actor("system", NIL), account=NIL, scopes=(EVERYTHING,))


def refuse_beyond_scopes(held: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    """Raise BeyondCaller unless these scopes are all held."""
    _refuse_lacking(missing(held, wanted))


def refuse_beyond(caller: Principal, wanted: tuple[str, ...], *, owner: Owner) -> None:
    """Raise BeyondCaller unless the caller may grant these scopes to this owner.

    `own.read` of another owner shows the tokens of that owner: the caller needs `tokens.read` for it. That scope gives
    `own.read` for every owner. It shows a user to themselves, so for another user it takes `users.read`, too.
    """
    others = owner != caller.owner
    lacking = missing(caller.scopes, wanted)
    if others:
        lacking = tuple(scope for scope in wanted if scope in lacking or scope.startswith("own."))
    another = others and owner.type == "user"
    _refuse_lacking(tuple(s for s in lacking if not _held_wider(caller.scopes, s, others=others, another_user=another)))


def handed_on(maker: Principal, scopes: tuple[str, ...], *, owner: Owner) -> tuple[str, ...]:
    """Return which of these scopes the maker may grant to this owner at this moment."""
    left = on_behalf(maker.scopes, scopes)
    return left if maker.owner == owner else tuple(scope for scope in left if _may_hand_on(maker, scope, owner))


def _may_hand_on(maker: Principal, scope: str, owner: Owner) -> bool:
    try:
        refuse_beyond(maker, (scope,), owner=owner)
    except BeyondCaller:
        return False
    return True


@lru_cache(maxsize=256)  # small: one key may hold a thousand scopes
def on_behalf(holds: tuple[str, ...], scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the effective scopes of a token with `scopes` whose user holds `holds`: never more than the user's."""
    both = meet(holds, scopes)
    wider = (scope for scope in scopes if scope not in both and _held_wider(holds, scope))
    return (*both, *wider)


def _held_wider(held: tuple[str, ...], scope: str, *, others: bool = False, another_user: bool = False) -> bool:
    """Say whether `tokens.rotate` is held, which gives `own.rotate`; and either of them gives `self.rotate`."""
    whose, _, verb = scope.partition(".")
    if whose == "self" and not others and not missing(held, (f"own.{verb}",)):
        return True
    if whose not in ("own", "self"):
        return False
    shows_a_user = another_user and contains(scope, "own.read")
    return not missing(held, (f"tokens.{verb}", *(("users.read",) if shows_a_user else ())))


def _refuse_lacking(lacking: tuple[str, ...]) -> None:
    if lacking:
        shown = ", ".join(lacking[:5])
        raise BeyondCaller(
            f"The caller does not hold {shown}; use a caller that does, or leave it out.", missing=list(lacking[:20])
        )


def refuse_beyond_lifetime(caller: Principal, expires_at: datetime | None) -> None:
    """Raise BeyondCaller if this expiry lies after the caller's own."""
    if caller.expires_at is None:
        return
    if expires_at is None or expires_at > caller.expires_at:
        raise BeyondCaller(
            f"The caller itself expires earlier; state an expiry no later than {caller.expires_at.isoformat()}.",
            latest=caller.expires_at.isoformat(),
        )


def checked_bounds(caller: Principal, stated: Bounds) -> Bounds:
    """Return the bounds in canonical form, or raise a Refusal, also if they are wider than the caller's own."""
    bounds = stated.checked()
    refuse_beyond_bounds(caller, bounds)
    return bounds


def refuse_beyond_bounds(caller: Principal, wanted: Bounds) -> None:
    """Raise BeyondCaller if these bounds allow other networks, more calls or more uses than those of the caller."""
    own = caller.bounds
    if not wanted.within(Bounds(networks=own.networks)):
        where = ", ".join(own.networks[:5])
        raise BeyondCaller(
            f"The caller may be used from {where} only; state networks within its own.", networks=list(own.networks)
        )
    if not wanted.within(Bounds(rate_limit=own.rate_limit)):
        raise BeyondCaller(
            f"The caller itself is limited to {own.rate_limit}; state a rate limit no wider than its own.",
            rate_limit=own.rate_limit,
        )
    if not wanted.within(Bounds(max_uses=own.max_uses)):
        raise BeyondCaller(
            f"The caller itself may be used {own.max_uses} times; state no more uses than its own.",
            max_uses=own.max_uses,
        )


def refuse_passing(caller: Principal) -> None:
    """Raise BeyondCaller if the caller expires or has bounds: the user that it would create has neither."""
    if caller.expires_at is not None or caller.bounds.networks or caller.bounds.max_uses is not None:
        raise BeyondCaller(
            "This caller expires, or is bound to networks or to a number of uses, and a user is not; use your e-mail "
            "address and password, or a token without these limits.",
            needs="password",
        )
