"""Renew a token: move its expiry; its secret stays."""

from __future__ import annotations

from datetime import datetime

from counterfoil.core import duration
from counterfoil.core.principal import refuse_beyond_lifetime
from counterfoil.core.refusals import NothingToRenew, RenewsItself
from counterfoil.core.subjects.account import Policy
from counterfoil.core.subjects.token.commands import Renew, Rotate
from counterfoil.core.subjects.token.events import Renewed
from counterfoil.core.subjects.token.state import Token, refuse_beyond_token


def renewed(token: Token, command: Renew | Rotate, at: datetime, policy: Policy) -> Renewed:
    """Return the new lifetime, by default the token's own from now; or raise a Refusal."""
    lifetime = command.lifetime
    if lifetime is None and command.expires_at is None:
        if token.lifetime is None or token.lifetime == duration.FOREVER:
            raise NothingToRenew
        lifetime = token.lifetime
    if command.by.is_token(token.id):
        raise RenewsItself
    expires_at = duration.expiry(at, lifetime, command.expires_at)
    duration.refuse_past(at, expires_at)
    refuse_beyond_token(command.by, token)
    refuse_beyond_lifetime(command.by, expires_at)
    policy.refuse_beyond(at, expires_at)
    if lifetime is None and isinstance(command, Renew) and command.keeps_lifetime:
        lifetime = token.lifetime
    return Renewed(expired_at=token.expires_at, expires_at=expires_at, lifetime=lifetime)
