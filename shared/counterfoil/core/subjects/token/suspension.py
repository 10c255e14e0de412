"""Suspend and resume a token: who may resume it depends on who suspended it.

An owner may undo their own suspension. A suspension by somebody with power over the token stands until somebody with
such power resumes it: else a stolen token of the same owner would revive one that was suspended as leaked.
"""

from __future__ import annotations

from msgspec import UNSET

from counterfoil.core import text
from counterfoil.core.events import Event, Private
from counterfoil.core.principal import refuse_beyond_lifetime
from counterfoil.core.refusals import BeyondCaller
from counterfoil.core.subjects.token.commands import Resume, Suspend
from counterfoil.core.subjects.token.events import Resumed, Suspended
from counterfoil.core.subjects.token.state import Token, refuse_beyond_token


def suspended(token: Token, command: Suspend) -> list[Event]:
    """Return the suspension, also of a token that its owner suspended: from then on the owner cannot undo it."""
    why = text.checked("reason", command.reason, text.REASON_LIMIT)
    by_owner = command.by.owner == token.owner and command.by.lacks("tokens.suspend")
    if token.status == "suspended" and (by_owner or not token.suspended_by_owner):
        return []
    return [Suspended(by_owner=by_owner, private=Private(reason=why or UNSET))]


def resumed(token: Token, command: Resume) -> list[Event]:
    """Return the resumption, or nothing if the token is not suspended."""
    refuse_beyond_token(command.by, token)
    refuse_beyond_lifetime(command.by, token.expires_at)
    if token.status == "active":
        return []
    if not token.suspended_by_owner and command.by.lacks("tokens.resume"):
        raise BeyondCaller(
            "This token was not suspended by its owner; resuming it needs the scope tokens.resume.",
            missing=["tokens.resume"],
        )
    return [Resumed()]
