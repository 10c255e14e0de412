"""Check callers again when a command is decided: their state may have changed since authentication.

If a caller's rights were reduced, the command is refused and the caller repeats the request. So no decision needs to
know which of the caller's scopes allowed the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace

from counterfoil.core.bounds import Bounds
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import CallerChanged, CallerGone, Refusal, TokenExpired
from counterfoil.core.scopes import missing
from counterfoil.core.subjects.token.acceptance import Accepted, Context, refusal_for
from counterfoil.core.subjects.user import User, owner_of


class HeldToken(Accepted, Protocol):
    """The fields of a token on which its acceptance and its scopes depend."""

    @property
    def scopes(self) -> tuple[str, ...]: ...
    @property
    def context(self) -> Context: ...
    @property
    def bounds(self) -> Bounds: ...
    @property
    def owner(self) -> Owner: ...


@dataclass(frozen=True, slots=True)
class TokenCaller:
    """A token as a caller."""

    token: HeldToken

    @property
    def held(self) -> tuple[str, ...]:
        return self.token.scopes

    def refuse_reduced(self, by: Principal, at: datetime) -> None:
        """Raise Denied if the token is no longer accepted, CallerChanged if it may do less than when authenticated."""
        generation = self.token.generation if by.generation is None else by.generation
        if denied := refusal_for(self.token, generation, at, self.token.context):
            raise denied
        if by.expires_at is not None and by.expires_at <= at:  # a bearer expires before its token
            raise TokenExpired
        if not by.bounds.within(self.token.bounds):
            raise CallerChanged
        _refuse_missing_scopes(by, self.held)


@dataclass(frozen=True, slots=True)
class UserCaller:
    """A user as a caller."""

    user: User

    @property
    def held(self) -> tuple[str, ...]:
        return self.user.held

    def refuse_reduced(self, by: Principal, _: datetime) -> None:
        """Raise CallerGone if the user was disabled or the password changed, CallerChanged if the user may do less."""
        if self.user.status != "active" or by.generation not in (None, self.user.generation):
            raise CallerGone
        _refuse_missing_scopes(by, self.held)


def maker_of(caller: TokenCaller | UserCaller | None, by: Principal, at: datetime) -> Principal | None:
    """Return the maker as a principal with its present scopes; None if the maker may do nothing any more."""
    try:
        if caller is None:
            return None
        caller.refuse_reduced(by, at)
    except Refusal:
        return None
    if isinstance(caller, UserCaller):
        return replace(by, scopes=caller.held, owner=owner_of(caller.user.id))
    token = caller.token
    return replace(by, scopes=caller.held, owner=token.owner, expires_at=token.expires_at, bounds=token.bounds)


def _refuse_missing_scopes(by: Principal, held: tuple[str, ...]) -> None:
    if missing(held, by.scopes):
        raise CallerChanged
