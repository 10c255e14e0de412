"""What we answer to what is asked of a token: `decide(state, command, at)` gives events, or refuses.

Pure: no clock, no randomness, no IO. An empty list means "nothing to do", which is a success.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import UNSET, UnsetType

from counterfoil.core import duration, scopes, secret, text
from counterfoil.core.bounds import Bounds, checked_networks, checked_number, checked_rate
from counterfoil.core.events import Event, Private
from counterfoil.core.owners import checked_owner
from counterfoil.core.principal import Owner, Principal, refuse_beyond, refuse_beyond_bounds, refuse_beyond_lifetime
from counterfoil.core.refusals import (
    AlreadyExists,
    AlreadyRevoked,
    BadDuration,
    BadExpiry,
    BeyondCaller,
    BeyondOwner,
    LifetimeRequired,
    LifetimeUnwanted,
    NoSecret,
    NotFound,
    NothingToRenew,
    NoTrust,
    PreviousSecretEnded,
    PreviousSecretGood,
    RenewsItself,
    SecretRetired,
    StaleRevision,
    UnknownUser,
    UserGone,
)
from counterfoil.core.subjects.account import Policy
from counterfoil.core.subjects.token.commands import (
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
from counterfoil.core.subjects.token.events import (
    Created,
    Erased,
    Expired,
    Expiring,
    Renewed,
    Revoked,
    Rotated,
    Updated,
)
from counterfoil.core.subjects.token.exchange import exchanged
from counterfoil.core.subjects.token.state import (
    ALONE,
    Context,
    Token,
    pending,
    previous_is_good,
    refusal_for,
    refuse_beyond_token,
    status_at,
)
from counterfoil.core.subjects.token.suspension import resumed, suspended
from counterfoil.core.trust import Trust, checked_trust

GRACE_LIMIT_SECONDS: Final = 366 * 86_400


def decide(token: Token | None, command: TokenCommand, at: datetime, context: Context = ALONE) -> list[Event]:
    """Return what happens if this is asked of this token at this moment, or raise a Refusal."""
    if isinstance(command, Create):
        return _create(token, command, at, context)
    if token is None:
        raise NotFound
    match command:
        case Exchange():
            return [exchanged(token, command, at, context)]
        case Sweep():
            return _sweep(token, at, context)
        case Change():
            return _change(token, command, at, context)
    raise TypeError(f"no such command: {type(command).__name__}")


def _change(token: Token, command: Change, at: datetime, context: Context) -> list[Event]:
    if command.revisions is not None and token.revision not in command.revisions:
        raise StaleRevision(revision=token.revision)
    if isinstance(command, Revoke):
        return _revoke(token, command, at)
    if isinstance(command, Erase):
        return [Erased()]  # always: a blank state does not mean that every earlier event is blank
    if token.status == "revoked":
        raise AlreadyRevoked
    if context.owner == "removed":
        raise AlreadyRevoked(
            "The user who owned this token was removed, which revoked it for good; issue a new one for another owner."
        )
    match command:
        case Update():
            return _update(token, command, at, context)
        case Renew():
            return _renew(token, command, at, context.policy)
        case Rotate():
            return _rotate(token, command, at, context)
        case Suspend():
            return suspended(token, command)
        case Resume():
            return resumed(token, command)
    raise TypeError(f"no such command: {type(command).__name__}")


def _create(token: Token | None, command: Create, at: datetime, context: Context) -> list[Event]:
    if token is not None:
        raise AlreadyExists
    owner, granted = checked_owner(command.owner), scopes.checked(command.scopes)
    _refuse_unknown(owner, context)
    policy, (scheme, hint) = context.policy, _opened_by(command)
    lifetime, expires_at = _lifetime(command, at, policy)
    if not command.may_have_expired:
        _refuse_past(at, expires_at)
    refuse_beyond(command.by, granted, owner=owner)
    _refuse_beyond_owner(granted, context)
    refuse_beyond_lifetime(command.by, expires_at)
    bounds = _bounds(command.by, Bounds(command.networks, command.rate_limit, command.max_uses))
    policy.refuse_beyond(at, expires_at)
    policy.refuse_undescribed(command.undescribed)
    return [
        Created(
            number=command.number,
            owner=owner,
            scopes=granted,
            lifetime=lifetime,
            expires_at=expires_at,
            thresholds=command.thresholds if policy.thresholds is None else policy.thresholds,
            hint=hint,
            dialect=command.dialect,
            cloned_from=command.cloned_from,
            networks=bounds.networks or UNSET,
            rate_limit=bounds.rate_limit or UNSET,
            max_uses=bounds.max_uses or UNSET,
            epoch=context.epoch,
            imported=None if scheme == secret.OWN else scheme,
            trust=UNSET if command.trust is None else checked_trust(command.trust),
            private=Private(
                name=text.checked_name(command.name),
                description=text.checked("description", command.description, text.DESCRIPTION_LIMIT),
                metadata=text.checked_metadata(command.metadata),
            ),
        )
    ]


def _lifetime(command: Create, at: datetime, policy: Policy) -> tuple[str | None, datetime | None]:
    """Return the lifetime of a new token, as stated or by the policy, and its expiry."""
    if command.lifetime is None and command.expires_at is None:
        return policy.default_lifetime, duration.expiry(at, policy.default_lifetime, None)
    if command.made_at is None:
        return command.lifetime, duration.expiry(at, command.lifetime, command.expires_at)
    if command.made_at > at:
        raise BadExpiry("A token that is imported was made in the past; state when.", field="created_at")
    expires_at = duration.expiry(command.made_at, command.lifetime, command.expires_at)
    if command.lifetime is not None and expires_at is not None and expires_at <= at:
        raise BadExpiry(
            f"This token expired on {expires_at.date()}, {command.lifetime} after it was made; leave it out, or state"
            " a later expires_at instead of the lifetime.",
            field="lifetime",
        )
    return command.lifetime, expires_at


def _opened_by(command: Create) -> tuple[str, str]:
    """Return the scheme and the hint of what opens a new token, which is a secret or a trust, never both."""
    if (command.secret is None) == (command.trust is None):
        raise TypeError("a token is created with a secret or with a trust")
    return (secret.OWN, "") if command.secret is None else (command.secret.scheme, command.secret.hint)


def _refuse_unknown(owner: Owner, context: Context) -> None:
    """Refuse an owner who is no user, or no more: nobody could ever end such a token together with its user."""
    if owner.type != "user":
        return
    if context.owner_holds is None:
        raise UnknownUser(field="owner.id")
    if context.owner == "removed":
        raise UserGone("The user who would own this token was removed; name another owner.", field="owner.id")


def _refuse_beyond_owner(granted: tuple[str, ...], context: Context) -> None:
    left = frozenset(context.left_of(granted))
    if lacking := [scope for scope in granted if scope not in left]:
        raise BeyondOwner(
            f"The user who owns this token does not hold {', '.join(lacking[:5])}; grant it to the user first.",
            missing=lacking[:20],
        )


def _update(token: Token, command: Update, at: datetime, context: Context) -> list[Event]:
    refuse_beyond_token(command.by, token)
    granted = UNSET if command.scopes is UNSET else scopes.checked(command.scopes)
    if granted is not UNSET:
        refuse_beyond(command.by, granted, owner=token.owner)
        if granted != token.scopes:
            _refuse_beyond_owner(granted, context)
            context.policy.refuse_undescribed(command.undescribed)
        if scopes.missing(token.scopes, granted):  # else a caller could park its scopes in a token that outlives it
            refuse_beyond_lifetime(command.by, token.expires_at)
    name = UNSET if command.name is UNSET else text.checked_name(command.name)
    words = command.description
    words = UNSET if words is UNSET else text.checked("description", words, text.DESCRIPTION_LIMIT)
    metadata = UNSET if command.metadata is UNSET else text.checked_metadata(command.metadata)
    said = Private(
        name=UNSET if name == token.name else name,
        description=UNSET if words == token.description else words,
        metadata=UNSET if metadata == token.metadata else metadata,
    )
    bounds = _bounds(
        command.by,
        Bounds(
            token.networks if command.networks is UNSET else command.networks,
            token.rate_limit if command.rate_limit is UNSET else command.rate_limit,
            token.max_uses if command.max_uses is UNSET else command.max_uses,
        ),
    )
    until = UNSET if command.previous_until is UNSET else _moved(token, command, command.previous_until, at, context)
    trust = _stated(token, command, command.trust, context)
    changed = Updated(
        scopes=UNSET if granted == token.scopes else granted,
        networks=UNSET if bounds.networks == token.networks else bounds.networks,
        rate_limit=UNSET if bounds.rate_limit == token.rate_limit else bounds.rate_limit,
        max_uses=UNSET if bounds.max_uses == token.max_uses else bounds.max_uses,
        previous_until=UNSET if until == token.previous_until else until,
        trust=trust,
        epoch=UNSET if trust is UNSET else context.epoch,
        private=None if said == Private() else said,
    )
    return [] if changed == Updated() else [changed]


def _stated(token: Token, command: Update, trust: Trust | UnsetType, context: Context) -> Trust | UnsetType:
    """Return the trust to put in place; by somebody else, or after all secrets were ended, the same one counts."""
    if trust is UNSET:
        return UNSET
    if token.trust is None:
        raise NoTrust
    checked_trust(trust)
    if command.by.actor.kind == "token" and command.by.actor.id == token.id:  # it would answer for itself
        raise BeyondCaller("A token cannot state its own trust; a user or another token must do it.")
    refuse_beyond_lifetime(command.by, token.expires_at)
    same = (trust, command.by.actor) == (token.trust, token.trust_by) and token.epoch >= context.epoch
    return UNSET if same else trust


def _moved(token: Token, command: Update, until: datetime, at: datetime, context: Context) -> datetime | None:
    """Return when the previous secret ends instead; one that has ended stays so, whatever is asked."""
    refuse_beyond_lifetime(command.by, token.expires_at)
    if not previous_is_good(token, at, context):
        raise PreviousSecretEnded
    return _previous_until(until, at)


def _previous_until(until: datetime, at: datetime) -> datetime | None:
    if until > at + timedelta(seconds=GRACE_LIMIT_SECONDS):
        raise BadExpiry(
            "A previous secret stays good for at most 366 days; state an earlier moment.", field="previous_until"
        )
    return until if until > at else None


def _bounds(caller: Principal, stated: Bounds) -> Bounds:
    bounds = Bounds(
        checked_networks(stated.networks),
        checked_rate(stated.rate_limit),
        checked_number(stated.max_uses, field="max_uses"),
    )
    refuse_beyond_bounds(caller, bounds)
    return bounds


def _renew(token: Token, command: Renew, at: datetime, policy: Policy) -> list[Event]:
    lifetime, ends = command.lifetime, command.expires_at
    if lifetime is None and ends is None:
        if token.lifetime is None or token.lifetime == duration.FOREVER:
            raise NothingToRenew
        lifetime = token.lifetime
    return [_renewed(token, command, at, policy, lifetime=lifetime, ends=ends)]


def _renewed(
    token: Token, command: Renew | Rotate, at: datetime, policy: Policy, *, lifetime: str | None, ends: datetime | None
) -> Renewed:
    if command.by.actor.kind == "token" and command.by.actor.id == token.id:
        raise RenewsItself
    expires_at = duration.expiry(at, lifetime, ends)
    _refuse_past(at, expires_at)
    refuse_beyond_token(command.by, token)
    refuse_beyond_lifetime(command.by, expires_at)
    policy.refuse_beyond(at, expires_at)
    return Renewed(expired_at=token.expires_at, expires_at=expires_at, lifetime=lifetime)


def _refuse_past(at: datetime, expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= at:
        raise BadExpiry(
            f"The expiry {expires_at.isoformat()} has passed; state one that is still to come, or a lifetime such as "
            "90d. To end a token, revoke it.",
            field="expires_at",
        )


def _rotate(token: Token, command: Rotate, at: datetime, context: Context) -> list[Event]:
    if token.trust is not None:
        raise NoSecret
    if not 0 <= command.grace_seconds <= GRACE_LIMIT_SECONDS:
        raise BadDuration("A grace period is between 0s and 366d; give one such as 24h.", field="grace")
    refuse_beyond_token(command.by, token)
    lifetime_stated = command.lifetime is not None or command.expires_at is not None
    if status_at(token, at) != "expired":
        if lifetime_stated:
            raise LifetimeUnwanted
        refuse_beyond_lifetime(command.by, token.expires_at)
        until = at + timedelta(seconds=command.grace_seconds) if command.grace_seconds else None
        if command.previous_until is not None:
            until = _previous_until(command.previous_until, at)
        return [_rotated(token, command, until, context, ended_early=_cut_short(token, command, until, at, context))]
    if not lifetime_stated:
        raise LifetimeRequired
    # The old secret ended when the token expired: the new lifetime is for the new secret alone, whatever the grace.
    return [
        _renewed(token, command, at, context.policy, lifetime=command.lifetime, ends=command.expires_at),
        _rotated(token, command, None, context),
    ]


def _cut_short(
    token: Token, command: Rotate, until: datetime | None, at: datetime, context: Context
) -> datetime | UnsetType:
    """Return until when the secret that a rotation ends would have been good; raise PreviousSecretGood if unstated."""
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
        generation=token.generation + 1,
        previous_until=until,
        hint=command.secret.hint,
        epoch=context.epoch,
        forgets_use=True if command.forgets_use else UNSET,
        ended_early=ended_early,
    )


def _revoke(token: Token, command: Revoke, at: datetime) -> list[Event]:
    reason = text.checked_reason(command.reason)
    if token.status == "revoked":
        return []
    if command.generation is not None and isinstance(refusal_for(token, command.generation, at), SecretRetired):
        return []  # who shows a secret that was replaced knows nothing that opens the token
    return [Revoked(bulk_revocation=command.bulk_revocation, private=Private(reason=reason))]


def _sweep(token: Token, at: datetime, context: Context) -> list[Event]:
    left = pending(token)
    if not left or token.expires_at is None:
        return []
    if context.owner == "removed":  # nobody is waiting for this expiry: the token is put away instead
        return [Revoked(private=Private(reason="The user who owned this token was removed."))]
    if token.expires_at <= at:
        return [Expired(expires_at=token.expires_at)]
    overdue = [t for t in left if token.expires_at - timedelta(seconds=t) <= at]
    return [Expiring(threshold=min(overdue), expires_at=token.expires_at)] if overdue else []
