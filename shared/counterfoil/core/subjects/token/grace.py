"""The grace after a rotation: confirm the rotation, extend the grace, and announce that it ends."""

from __future__ import annotations

from datetime import datetime, timedelta

from counterfoil.core.events import Event
from counterfoil.core.principal import Principal, refuse_beyond_lifetime
from counterfoil.core.refusals import BadDuration, NewSecretUnused, PreviousSecretEnded
from counterfoil.core.subjects.token.acceptance import Context, previous_is_good, status_at
from counterfoil.core.subjects.token.commands import AnnounceGrace, ConfirmRotation, ExtendGrace
from counterfoil.core.subjects.token.events import GraceEnding, GraceExtended, RotationConfirmed
from counterfoil.core.subjects.token.rotation import GRACE_LIMIT_SECONDS
from counterfoil.core.subjects.token.secret_uses import quiet_since
from counterfoil.core.subjects.token.state import Token, refuse_beyond_token


def confirmed(token: Token, command: ConfirmRotation, at: datetime, context: Context) -> list[Event]:
    """Return the end of the previous secret, none if it has ended; or raise a Refusal."""
    refuse_beyond_token(command.by, token)
    refuse_beyond_lifetime(command.by, token.expires_at)
    if token.rotated_at is None:
        raise PreviousSecretEnded("This token was never rotated, so it has no previous secret.")
    if token.previous_until is None or not previous_is_good(token, at, context):
        return []
    used = _calls_with_new_secret(command.by, token) or context.secret_uses.of(token.generation).present_last_at
    if used:
        return [RotationConfirmed(ended_early=token.previous_until)]
    if not command.even_if_unused:
        raise NewSecretUnused(
            "The previous secret may be the only one that works. Use the new one first (a use counts here within a "
            'second), or send "even_if_unused": true to end the previous one all the same.',
            until=token.previous_until.isoformat(),
        )
    return [RotationConfirmed(ended_early=token.previous_until, unused=True)]


def extended(token: Token, command: ExtendGrace, at: datetime, context: Context) -> list[Event]:
    """Return the longer grace, or raise a Refusal: a secret that has ended never comes back."""
    if not 0 < command.grace_seconds <= GRACE_LIMIT_SECONDS:
        raise BadDuration("A longer grace is at most 366d; give one such as 24h.", field="grace")
    refuse_beyond_token(command.by, token)
    refuse_beyond_lifetime(command.by, token.expires_at)
    if token.previous_until is None or token.rotated_at is None or not previous_is_good(token, at, context):
        raise PreviousSecretEnded
    if status_at(token, at, context) == "expired":
        raise PreviousSecretEnded("The token has expired, and both of its secrets with it; renew it first.")
    until = at + timedelta(seconds=command.grace_seconds)
    if until <= token.previous_until:
        raise BadDuration(
            f"The previous secret is accepted until {token.previous_until.isoformat()} already; state a longer grace,"
            " or confirm the rotation to end it now.",
            field="grace",
        )
    latest = token.rotated_at + timedelta(seconds=GRACE_LIMIT_SECONDS)
    if until > latest:
        raise BadDuration(
            f"A previous secret is accepted for at most 366 days after the rotation, here until {latest.isoformat()};"
            " state a shorter grace.",
            field="grace",
        )
    return [GraceExtended(previous_until=until)]


def grace_ending(token: Token, command: AnnounceGrace, at: datetime, context: Context) -> list[Event]:
    """Return the announcement, once in each grace; none while nobody is behind, or while there is time left."""
    until, start = token.previous_until, token.grace_start
    if until is None or start is None or token.grace_announced is not None or not previous_is_good(token, at, context):
        return []
    if status_at(token, at, context) in ("revoked", "expired"):
        return []
    notice = min(timedelta(seconds=command.notice_seconds), (until - start) / 2)
    uses = context.secret_uses.of(token.generation)
    last_used_at = uses.previous_last_at
    behind = uses.behind(quiet_since(at, grace=until - start))
    if at < until - notice or last_used_at is None or not behind:
        return []
    return [
        GraceEnding(
            threshold=int(notice.total_seconds()), previous_until=until, uses=uses.previous, last_used_at=last_used_at
        )
    ]


def _calls_with_new_secret(by: Principal, token: Token) -> bool:
    """Say whether the token itself calls, with its new secret or a bearer of it: that is a use."""
    return by.is_token(token.id) and by.generation == token.generation
