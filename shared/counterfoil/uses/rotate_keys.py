"""Scheduled rotation of the signing keys: the next step of a rotation, or the start of a new one."""

from __future__ import annotations

from datetime import datetime, timedelta

from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.subjects.signing_key_events import ActivateKey, PublishKey, RemoveKey
from counterfoil.core.subjects.signing_keys import RING, Ring
from counterfoil.core.subjects.subject import Command
from counterfoil.uses.key_encryption import Sealing


def due(ring: Ring, at: datetime, every_seconds: int | None, sealing: Sealing) -> Command | None:
    """Return the step that is due now, or None; its command requires that the keys have not changed since."""
    waiting, active = ring.first("published"), ring.first("active")
    revisions = frozenset({ring.revision})
    if waiting is not None and ring.activation(waiting) <= at:
        return ActivateKey(account=NIL, id=RING, by=SYSTEM, kid=waiting.kid, revisions=revisions)
    for key in ring.keys:
        over = ring.removal(key)
        if key.status == "retired" and over is not None and over <= at:
            return RemoveKey(account=NIL, id=RING, by=SYSTEM, kid=key.kid, revisions=revisions)
    if waiting is None and every_seconds is not None and active is not None:
        since = active.activated_at or active.published_at
        if since + timedelta(seconds=every_seconds) <= at:
            return PublishKey(account=NIL, id=RING, by=SYSTEM, new_key=sealing.new_key(), revisions=revisions)
    return None
