"""Create a token: its owner, its scopes, and its lifetime."""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET

from counterfoil.core import duration, scopes, secret, text
from counterfoil.core.bounds import Bounds
from counterfoil.core.events import Private
from counterfoil.core.owners import checked_owner
from counterfoil.core.principal import Owner, checked_bounds, refuse_beyond, refuse_beyond_lifetime
from counterfoil.core.refusals import AlreadyExists, BadExpiry, UnknownUser, UserGone
from counterfoil.core.subjects.account import Policy
from counterfoil.core.subjects.token.acceptance import Context
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.subjects.token.events import Created
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.trust import checked_trust


def created(token: Token | None, command: Create, at: datetime, context: Context) -> Created:
    if token is not None:
        raise AlreadyExists
    owner, granted = checked_owner(command.owner), scopes.checked(command.scopes)
    _refuse_unknown(owner, context)
    policy, (scheme, hint) = context.policy, _opened_by(command)
    lifetime, expires_at = _lifetime(command, at, policy)
    if not command.may_have_expired:
        duration.refuse_past(at, expires_at)
    refuse_beyond(command.by, granted, owner=owner)
    context.refuse_beyond_owner(granted)
    refuse_beyond_lifetime(command.by, expires_at)
    bounds = checked_bounds(command.by, Bounds(command.networks, command.rate_limit, command.max_uses))
    policy.refuse_beyond(at, expires_at)
    policy.refuse_undescribed(command.undescribed)
    return Created(
        number=command.number, owner=owner, scopes=granted, lifetime=lifetime, expires_at=expires_at,
        thresholds=command.thresholds if policy.thresholds is None else policy.thresholds,
        hint=hint, dialect=command.dialect, cloned_from=command.cloned_from, epoch=context.epoch,
        networks=bounds.networks or UNSET, rate_limit=bounds.rate_limit or UNSET, max_uses=bounds.max_uses or UNSET,
        imported=None if scheme == secret.OWN else scheme,
        trust=UNSET if command.trust is None else checked_trust(command.trust),
        private=Private(
            name=text.checked_name(command.name),
            description=text.checked("description", command.description, text.DESCRIPTION_LIMIT),
            metadata=text.checked_metadata(command.metadata),
        ),
    )  # fmt: skip


def _refuse_unknown(owner: Owner, context: Context) -> None:
    """Refuse an unknown or removed user as the owner: a later removal of the user could not revoke such a token."""
    if owner.type != "user":
        return
    if context.owner_holds is None:
        raise UnknownUser(field="owner.id")
    if context.owner == "removed":
        raise UserGone("The user who would own this token was removed; name another owner.", field="owner.id")


def _opened_by(command: Create) -> tuple[str, str]:
    """Return the scheme and hint of a new token, which is opened by a secret or a trust, never both."""
    if (command.secret is None) == (command.trust is None):
        raise TypeError("a token is created with a secret or with a trust")
    return (secret.OWN, "") if command.secret is None else (command.secret.scheme, command.secret.hint)


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
