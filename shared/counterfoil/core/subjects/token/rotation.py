"""Rotate a token: it gets a new secret, and the present one may stay valid for a grace period."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import UNSET, UnsetType

from counterfoil.core.events import Event
from counterfoil.core.principal import refuse_beyond_lifetime
from counterfoil.core.refusals import (
    BadDuration,
    BadExpiry,
    LifetimeRequired,
    LifetimeUnwanted,
    NoSecret,
    PreviousSecretGood,
)
from counterfoil.core.subjects.token.acceptance import Context, previous_is_good, status_at
from counterfoil.core.subjects.token.commands import Rotate
from counterfoil.core.subjects.token.events import Rotated
from counterfoil.core.subjects.token.renewal import renewed
from counterfoil.core.subjects.token.state import Token, refuse_beyond_token

GRACE_LIMIT_SECONDS: Final = 366 * 86_400


def rotated(token: Token, command: Rotate, at: datetime, context: Context) -> list[Event]:
    """Return the rotation, for an expired token after its renewal; or raise a Refusal."""
    if token.trust is not None:
        raise NoSecret
    if not 0 <= command.grace_seconds <= GRACE_LIMIT_SECONDS:
        raise BadDuration("A grace period is between 0s and 366d; give one such as 24h.", field="grace")
    refuse_beyond_token(command.by, token)
    if status_at(token, at) == "expired":
        if not command.states_lifetime:
            raise LifetimeRequired
        # The old secret ended when the token expired: the new lifetime is for the new secret alone, whatever the grace.
        return [renewed(token, command, at, context.policy), _rotated(token, command, None, context)]
    if command.states_lifetime:
        raise LifetimeUnwanted
    refuse_beyond_lifetime(command.by, token.expires_at)
    until = at + timedelta(seconds=command.grace_seconds) if command.grace_seconds else None
    if command.previous_until is not None:
        until = checked_grace_end(command.previous_until, at)
    return [_rotated(token, command, until, context, ended_early=_cut_short(token, command, until, at, context))]


def checked_grace_end(until: datetime, at: datetime) -> datetime | None:
    """Return when the previous secret ends, None for at once; or raise BadExpiry for more than 366 days."""
    if until > at + timedelta(seconds=GRACE_LIMIT_SECONDS):
        raise BadExpiry(
            "A previous secret stays good for at most 366 days; state an earlier moment.", field="previous_until"
        )
    return until if until > at else None


def _cut_short(
    token: Token, command: Rotate, until: datetime | None, at: datetime, context: Context
) -> datetime | UnsetType:
    """Return until when the secret that the rotation ends would have been valid, or raise PreviousSecretGood."""
    if not previous_is_good(token, at, context) or token.previous_until is None:
        return UNSET
    if until is not None and not command.ends_previous:
        raise PreviousSecretGood(
            f"The secret before the present one is good until {token.previous_until.isoformat()}, and at most two are "
            'good at once; send "ends_previous": true to end it now, or rotate after that moment.',
            until=token.previous_until.isoformat(),
        )
    return token.previous_until


def _rotated(
    token: Token,
    command: Rotate,
    until: datetime | None,
    context: Context,
    *,
    ended_early: datetime | UnsetType = UNSET,
) -> Rotated:
    return Rotated(
        generation=token.generation + 1, previous_until=until, hint=command.secret.hint, epoch=context.epoch,
        forgets_use=True if command.forgets_use else UNSET, ended_early=ended_early,
    )  # fmt: skip
