"""What we answer to what is asked of a token: `decide(state, command, at)` gives events, or refuses.

Pure: no clock, no randomness, no IO. An empty list means "nothing to do", which is a success.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from msgspec import UNSET

from . import duration, scopes, secret, text
from .commands import (
    Change,
    Create,
    Erase,
    Exchange,
    Renew,
    Resume,
    Revoke,
    Rotate,
    Suspend,
    Sweep,
    TokenCommand,
    Update,
)
from .events import (
    Created,
    Erased,
    Event,
    Exchanged,
    Expired,
    Expiring,
    Private,
    Renewed,
    Resumed,
    Revoked,
    Rotated,
    Suspended,
    Updated,
)
from .principal import refuse_beyond_life, refuse_beyond_scopes
from .refusals import (
    AlreadyExists,
    AlreadyRevoked,
    BadDuration,
    BadExpiry,
    BadOwner,
    BadText,
    LifetimeRequired,
    LifetimeUnwanted,
    NotFound,
    NothingToRenew,
    RenewsItself,
    StaleRevision,
)
from .token import Token, flaw, good_until, pending, status

_OWNER_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
GRACE_LIMIT_SECONDS: Final = 366 * 86_400


def decide(token: Token | None, command: TokenCommand, at: datetime) -> list[Event]:
    """Return what happens if this is asked of this token at this moment, or raise a Refusal."""
    if isinstance(command, Create):
        return _create(token, command, at)
    if token is None:
        raise NotFound
    match command:
        case Exchange():
            return _exchange(token, command, at)
        case Sweep():
            return _sweep(token, at)
        case Change():
            return _change(token, command, at)
    raise TypeError(f"no such command: {type(command).__name__}")


def _change(token: Token, command: Change, at: datetime) -> list[Event]:
    if command.revisions is not None and token.revision not in command.revisions:
        raise StaleRevision(revision=token.revision)
    if isinstance(command, Revoke):
        return _revoke(token, command)
    if isinstance(command, Erase):
        return [Erased()]  # always: a blank state does not mean that every earlier event is blank
    if token.standing == "revoked":
        raise AlreadyRevoked
    match command:
        case Update():
            return _update(token, command)
        case Renew():
            return _renew(token, command, at)
        case Rotate():
            return _rotate(token, command, at)
        case Suspend(reason=reason):
            said = Private(reason=text.checked("reason", reason, text.REASON_LIMIT)) if reason else None
            return [] if token.standing == "suspended" else [Suspended(private=said)]
        case Resume():
            refuse_beyond_scopes(command.by.scopes, token.scopes)
            refuse_beyond_life(command.by, token.expires_at)
            return [] if token.standing == "active" else [Resumed()]
    raise TypeError(f"no such command: {type(command).__name__}")


def _create(token: Token | None, command: Create, at: datetime) -> list[Event]:
    if token is not None:
        raise AlreadyExists
    if not _OWNER_ID.fullmatch(command.owner.id) or secret.stands_in(command.owner.id):
        raise BadOwner(
            "An owner's id is 1 to 128 of A-Z a-z 0-9 . _ : - and neither personal data nor a secret.", field="owner.id"
        )
    granted = scopes.checked(command.scopes)
    expires_at = duration.expiry(at, command.duration, command.expires_at)
    refuse_beyond_scopes(command.by.scopes, granted)
    refuse_beyond_life(command.by, expires_at)
    return [
        Created(
            number=command.number,
            owner=command.owner,
            scopes=granted,
            duration=command.duration,
            expires_at=expires_at,
            thresholds=command.thresholds,
            stub=command.secret.stub,
            dialect=command.dialect,
            cloned_from=command.cloned_from,
            private=Private(
                name=text.checked_name(command.name),
                description=text.checked("description", command.description, text.DESCRIPTION_LIMIT),
                metadata=text.checked_metadata(command.metadata),
            ),
        )
    ]


def _update(token: Token, command: Update) -> list[Event]:
    refuse_beyond_scopes(command.by.scopes, token.scopes)
    granted = UNSET if command.scopes is UNSET else scopes.checked(command.scopes)
    if granted is not UNSET:
        refuse_beyond_scopes(command.by.scopes, granted)
        if scopes.missing(token.scopes, granted):  # else a caller could park its scopes in a token that outlives it
            refuse_beyond_life(command.by, token.expires_at)
    name = UNSET if command.name is UNSET else text.checked_name(command.name)
    words = command.description
    words = UNSET if words is UNSET else text.checked("description", words, text.DESCRIPTION_LIMIT)
    metadata = UNSET if command.metadata is UNSET else text.checked_metadata(command.metadata)
    said = Private(
        name=UNSET if name == token.name else name,
        description=UNSET if words == token.description else words,
        metadata=UNSET if metadata == token.metadata else metadata,
    )
    if granted == token.scopes:
        granted = UNSET
    if granted is UNSET and said == Private():
        return []
    return [Updated(scopes=granted, private=None if said == Private() else said)]


def _renew(token: Token, command: Renew, at: datetime) -> list[Event]:
    life, ends = command.duration, command.expires_at
    if life is None and ends is None:
        if token.duration is None or token.duration == duration.FOREVER:
            raise NothingToRenew
        life = token.duration
    return [_renewed(token, command, at, life, ends)]


def _renewed(token: Token, command: Renew | Rotate, at: datetime, life: str | None, ends: datetime | None) -> Renewed:
    if command.by.actor.kind == "token" and command.by.actor.id == token.id:
        raise RenewsItself
    expires_at = duration.expiry(at, life, ends)
    refuse_beyond_scopes(command.by.scopes, token.scopes)
    refuse_beyond_life(command.by, expires_at)
    if expires_at is not None and expires_at <= at and status(token, at) == "expired":
        raise BadExpiry("An expired token is renewed to a moment still to come.")
    return Renewed(expired_at=token.expires_at, expires_at=expires_at, duration=life)


def _rotate(token: Token, command: Rotate, at: datetime) -> list[Event]:
    if not 0 <= command.grace_seconds <= GRACE_LIMIT_SECONDS:
        raise BadDuration("A grace is between 0s and 366d.", field="grace")
    refuse_beyond_scopes(command.by.scopes, token.scopes)
    life_stated = command.duration is not None or command.expires_at is not None
    if status(token, at) != "expired":
        if life_stated:
            raise LifetimeUnwanted
        refuse_beyond_life(command.by, token.expires_at)
        until = at + timedelta(seconds=command.grace_seconds) if command.grace_seconds else None
        return [_rotated(token, command, until)]
    if not life_stated:
        raise LifetimeRequired
    # The old secret died when the token expired: a new life is for the new secret alone, whatever grace is asked.
    return [
        _renewed(token, command, at, command.duration, command.expires_at),
        _rotated(token, command, None),
    ]


def _rotated(token: Token, command: Rotate, until: datetime | None) -> Rotated:
    return Rotated(generation=token.generation + 1, previous_until=until, stub=command.secret.stub)


def _revoke(token: Token, command: Revoke) -> list[Event]:
    reason = text.checked("reason", command.reason, text.REASON_LIMIT)
    if not reason.strip():
        raise BadText("reason is empty; say why, somebody will ask.", field="reason")
    return [] if token.standing == "revoked" else [Revoked(private=Private(reason=reason))]


def _exchange(token: Token, command: Exchange, at: datetime) -> list[Event]:
    if denied := flaw(token, command.generation, at):
        raise denied
    if command.scopes is None:
        granted = token.scopes
    else:
        granted = scopes.checked(command.scopes)
        refuse_beyond_scopes(token.scopes, granted)
    ends = at + timedelta(seconds=command.lifetime_seconds)
    own_end = good_until(token, command.generation)
    return [
        Exchanged(
            jti=command.jti,
            generation=command.generation,
            audience=tuple(text.checked("audience", name, text.NAME_LIMIT) for name in command.audience),
            scopes=granted,
            expires_at=min(ends, own_end) if own_end else ends,
        )
    ]


def _sweep(token: Token, at: datetime) -> list[Event]:
    left = pending(token)
    if not left or token.expires_at is None:
        return []
    if token.expires_at <= at:
        return [Expired(expires_at=token.expires_at)]
    overdue = [t for t in left if token.expires_at - timedelta(seconds=t) <= at]
    return [Expiring(threshold=min(overdue), expires_at=token.expires_at)] if overdue else []
