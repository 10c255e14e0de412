"""Who is asking, and what they may hand on."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from .refusals import BeyondCaller
from .scopes import EVERYTHING, contains, missing

NIL: Final = UUID(int=0)
"""The account of the system itself."""
_OWN: Final = "own."


class Actor(msgspec.Struct, frozen=True, order=True):
    """By whom: what an event remembers of a principal. The id is opaque."""

    kind: Literal["user", "token", "system"]
    id: UUID


class Owner(msgspec.Struct, frozen=True):
    """On whose behalf a token acts; the id is opaque and no personal data."""

    type: Literal["user", "application", "service"]
    id: str


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A user or a token, as authenticated for one request.

    `owner` is on whose behalf it asks, a user on their own. `expires_at` is when what was presented stops being good:
    for a bearer its own end, not that of its token. `generation` is that of the secret behind it.
    """

    actor: Actor
    account: UUID
    scopes: tuple[str, ...]
    owner: Owner | None = None
    expires_at: datetime | None = None
    generation: int | None = None

    def lacks(self, scope: str) -> bool:
        """Say whether the principal may not do what this scope allows."""
        return bool(missing(self.scopes, (scope,)))


SYSTEM: Final = Principal(actor=Actor("system", NIL), account=NIL, scopes=(EVERYTHING,))


def refuse_beyond_scopes(held: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    """Raise BeyondCaller unless these scopes are all held."""
    _refuse_lacking(missing(held, wanted))


def refuse_beyond(caller: Principal, wanted: tuple[str, ...], *, owner: Owner) -> None:
    """Raise BeyondCaller unless the caller may put these scopes into the hands of this owner.

    `own.read` in somebody else's hands opens the tokens of somebody else: that takes `tokens.read`. Who holds that
    holds `own.read` too, for whomever; but since it shows a user to themselves, for another user it takes `users.read`.
    """
    others = owner != caller.owner
    lacking = missing(caller.scopes, wanted)
    if others:
        lacking = tuple(scope for scope in wanted if scope in lacking or scope.startswith(_OWN))
    another_user = others and owner.type == "user"
    _refuse_lacking(
        tuple(scope for scope in lacking if missing(caller.scopes, _of_anybody(scope, another_user=another_user)))
    )


def _of_anybody(scope: str, *, another_user: bool) -> tuple[str, ...]:
    if not scope.startswith(_OWN):
        return (scope,)
    shows_a_user = another_user and contains(scope, "own.read")
    return (f"tokens.{scope.removeprefix(_OWN)}", *(("users.read",) if shows_a_user else ()))


def _refuse_lacking(lacking: tuple[str, ...]) -> None:
    if lacking:
        shown = ", ".join(lacking[:5])
        raise BeyondCaller(f"The caller does not hold {shown}.", missing=list(lacking[:20]))


def refuse_beyond_life(caller: Principal, expires_at: datetime | None) -> None:
    """Raise BeyondCaller if this expiry lies after the caller's own."""
    if caller.expires_at is None:
        return
    if expires_at is None or expires_at > caller.expires_at:
        raise BeyondCaller(
            "The caller itself expires earlier; state an expiry no later than its own.",
            latest=caller.expires_at.isoformat(),
        )
