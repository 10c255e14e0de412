"""Exchanging: what a bearer comes to, which is never more than the secret or the bearer that buys it."""

from __future__ import annotations

from datetime import datetime, timedelta

from . import scopes, text
from .bounds import admits
from .commands import Exchange
from .events import Exchanged
from .principal import refuse_beyond_scopes
from .refusals import BeyondAudience, NetworkForbidden, TokenExpired, TokenNetworkForbidden, Uncounted, UnknownSecret
from .scopes import meet
from .token import ALONE, Surroundings, Token, flaw, good_until


def exchanged(token: Token, command: Exchange, at: datetime, around: Surroundings = ALONE) -> Exchanged:
    """Return the bearer that is bought, or raise a Refusal: everything is asked again, each time."""
    if command.actors and command.by.account != token.account:
        raise UnknownSecret  # what is another account's, dead or alive, is answered like what never was
    if denied := flaw(token, command.generation, at, around):
        raise denied
    if not around.policy.admits(command.address):
        raise NetworkForbidden
    if not admits(token.networks, command.address):
        raise TokenNetworkForbidden
    if token.rate_limit != command.counted:
        raise Uncounted(token.account, token.id, token.rate_limit)
    return Exchanged(
        jti=command.jti,
        generation=command.generation,
        audience=_audience(command),
        scopes=_scopes(token, command, around),
        expires_at=_end(token, command, at),
        actors=command.actors,
    )


def _scopes(token: Token, command: Exchange, around: Surroundings) -> tuple[str, ...]:
    there = around.left_of(token.scopes)
    if command.held is not None:
        there = meet(there, command.held.scopes)
    if command.scopes is None:
        return there
    granted = scopes.checked(command.scopes)
    refuse_beyond_scopes(there, granted)
    return granted


def _audience(command: Exchange) -> tuple[str, ...]:
    wanted = tuple(text.checked("audience", name, text.NAME_LIMIT) for name in command.audience)
    if command.held is None:
        return wanted
    if not set(wanted) <= set(command.held.audience):
        raise BeyondAudience
    return wanted or command.held.audience


def _end(token: Token, command: Exchange, at: datetime) -> datetime:
    presented = [command.held.expires_at] if command.held else []
    if command.actors and command.by.expires_at is not None:
        presented.append(command.by.expires_at)
    if any(end <= at for end in presented):
        raise TokenExpired
    own = good_until(token, command.generation)
    return min([at + timedelta(seconds=command.lifetime_seconds), *presented, *([own] if own else [])])
