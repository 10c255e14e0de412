"""What time brings to the signing keys: the next step of a rotation that was begun, or the beginning of another."""

from __future__ import annotations

from datetime import datetime, timedelta

from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.subjects.signing_key_events import ActivateKey, PublishKey, RemoveKey
from counterfoil.core.subjects.signing_keys import RING, Ring
from counterfoil.core.subjects.subject import SubjectCommand
from counterfoil.uses.key_encryption import Sealing


def due(ring: Ring, at: datetime, every_seconds: int | None, sealing: Sealing) -> SubjectCommand | None:
    """Return what is to be done now; None if nothing is. It insists on the keys being as they were found."""
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
            return PublishKey(account=NIL, id=RING, by=SYSTEM, key=sealing.new_key(), revisions=revisions)
    return None
