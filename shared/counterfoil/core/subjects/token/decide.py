"""Decide commands to a token: `decide(token, command, at, context)` returns events, or raises a Refusal.

Pure: no clock, no randomness, no IO. An empty list means that there is nothing to do, which is a success. The rules of
a command are in the module named for it: creation, update, renewal, rotation, grace, suspension, exchange; the shortest
ones are here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from counterfoil.core import text
from counterfoil.core.events import Event, Private
from counterfoil.core.refusals import AlreadyRevoked, NotFound, SecretRetired
from counterfoil.core.subjects.subject import no_command
from counterfoil.core.subjects.token import commands
from counterfoil.core.subjects.token.acceptance import ALONE, Context, refusal_for
from counterfoil.core.subjects.token.creation import created
from counterfoil.core.subjects.token.events import Erased, Expired, Expiring, Revoked
from counterfoil.core.subjects.token.exchange import exchanged
from counterfoil.core.subjects.token.grace import confirmed, extended, grace_ending
from counterfoil.core.subjects.token.renewal import renewed
from counterfoil.core.subjects.token.rotation import rotated
from counterfoil.core.subjects.token.state import Token, pending
from counterfoil.core.subjects.token.suspension import resumed, suspended
from counterfoil.core.subjects.token.update import updated


def decide(token: Token | None, command: commands.TokenCommand, at: datetime, context: Context = ALONE) -> list[Event]:
    """Return the events that a command to this token leads to at this moment, or raise a Refusal."""
    if isinstance(command, commands.Create):
        return [created(token, command, at, context)]
    if token is None:
        raise NotFound
    match command:
        case commands.Exchange():
            return [exchanged(token, command, at, context)]
        case commands.Sweep():
            return _sweep(token, at, context)
        case commands.AnnounceGrace():
            return grace_ending(token, command, at, context)
    return _change(token, command, at, context)


def _change(token: Token, command: commands.TokenCommand, at: datetime, context: Context) -> list[Event]:
    command.refuse_stale(token)
    if isinstance(command, commands.Revoke):
        return _revoke(token, command, at)
    if isinstance(command, commands.Erase):
        return [Erased()]  # always: a blank state does not mean that every earlier event is blank
    if token.status == "revoked":
        raise AlreadyRevoked
    if context.owner == "removed":
        raise AlreadyRevoked(
            "The user who owned this token was removed, which revoked it for good; issue a new one for another owner."
        )
    match command:
        case commands.Update():
            return updated(token, command, at, context)
        case commands.Renew():
            return [renewed(token, command, at, context.policy)]
        case commands.Rotate():
            return rotated(token, command, at, context)
        case commands.ConfirmRotation():
            return confirmed(token, command, at, context)
        case commands.ExtendGrace():
            return extended(token, command, at, context)
        case commands.Suspend():
            return suspended(token, command)
        case commands.Resume():
            return resumed(token, command)
    raise no_command(command)


def _revoke(token: Token, command: commands.Revoke, at: datetime) -> list[Event]:
    reason = text.checked_reason(command.reason)
    if token.status == "revoked":
        return []
    if command.generation is not None and isinstance(refusal_for(token, command.generation, at), SecretRetired):
        return []  # a replaced secret opens nothing, so its holder cannot revoke the token
    return [Revoked(bulk_revocation=command.bulk_revocation, private=Private(reason=reason))]


def _sweep(token: Token, at: datetime, context: Context) -> list[Event]:
    left = pending(token)
    if not left or token.expires_at is None:
        return []
    if context.owner == "removed":  # this expiry needs no notice: the token is revoked instead
        return [Revoked(private=Private(reason="The user who owned this token was removed."))]
    if token.expires_at <= at:
        return [Expired(expires_at=token.expires_at)]
    overdue = [t for t in left if token.expires_at - timedelta(seconds=t) <= at]
    return [Expiring(threshold=min(overdue), expires_at=token.expires_at)] if overdue else []
