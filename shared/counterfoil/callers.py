"""Those who ask, as they stand when it is decided: between a request's authentication and the door, much can end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace

from .principal import Principal
from .refusals import CallerGone, TokenExpired
from .scopes import missing
from .token import Accepted, Surroundings, flaw


class HeldToken(Accepted, Protocol):
    """A token as far as its acceptance and its scopes go."""

    @property
    def scopes(self) -> tuple[str, ...]: ...
    @property
    def around(self) -> Surroundings: ...


@dataclass(frozen=True, slots=True)
class TokenAsking:
    """A token that asks."""

    token: HeldToken

    def narrowed(self, by: Principal, at: datetime) -> Principal:
        """Return the caller with the scopes that the token still holds, or raise Denied."""
        generation = self.token.generation if by.generation is None else by.generation
        if denied := flaw(self.token, generation, at, self.token.around):
            raise denied
        if by.expires_at is not None and by.expires_at <= at:  # a bearer ends before its token
            raise TokenExpired
        return _left(by, self.token.scopes)


@dataclass(frozen=True, slots=True)
class UserAsking:
    """A user who asks."""

    standing: str
    held: tuple[str, ...]

    def narrowed(self, by: Principal, _: datetime) -> Principal:
        """Return the caller with the scopes that the user still holds, or raise Denied."""
        if self.standing != "active":
            raise CallerGone
        return _left(by, self.held)


def _left(by: Principal, held: tuple[str, ...]) -> Principal:
    lost = missing(held, by.scopes)
    return replace(by, scopes=tuple(scope for scope in by.scopes if scope not in lost)) if lost else by
