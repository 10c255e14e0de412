"""Update a token: its names and texts, scopes, bounds and trust, and the end of its previous secret."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from msgspec import UNSET, UnsetType

from counterfoil.core import scopes, text
from counterfoil.core.bounds import Bounds
from counterfoil.core.events import Event, Private
from counterfoil.core.principal import checked_bounds, refuse_beyond, refuse_beyond_lifetime
from counterfoil.core.refusals import BeyondCaller, NoTrust, PreviousSecretEnded
from counterfoil.core.subjects.token.acceptance import Context, previous_is_good
from counterfoil.core.subjects.token.commands import Update
from counterfoil.core.subjects.token.events import Updated
from counterfoil.core.subjects.token.rotation import checked_grace_end
from counterfoil.core.subjects.token.state import Token, refuse_beyond_token
from counterfoil.core.trust import Trust, checked_trust

T = TypeVar("T")


def updated(token: Token, command: Update, at: datetime, context: Context) -> list[Event]:
    """Return the update (none, if nothing would change), or raise a Refusal."""
    refuse_beyond_token(command.by, token)
    granted = _scopes(token, command, context)
    private = _private(token, command)
    bounds = checked_bounds(
        command.by,
        Bounds(
            _stated(command.networks, token.networks),
            _stated(command.rate_limit, token.rate_limit),
            _stated(command.max_uses, token.max_uses),
        ),
    )
    until = _previous_until(token, command, at, context)
    trust = _trust(token, command, context)
    event = Updated(
        scopes=_changed(granted, token.scopes),
        networks=_changed(bounds.networks, token.networks),
        rate_limit=_changed(bounds.rate_limit, token.rate_limit),
        max_uses=_changed(bounds.max_uses, token.max_uses),
        previous_until=_changed(until, token.previous_until),
        trust=trust,
        epoch=UNSET if trust is UNSET else context.epoch,
        private=private,
    )
    return [] if event == Updated() else [event]


def _stated(value: T | UnsetType, present: T) -> T:
    return present if value is UNSET else value


def _changed(value: T | UnsetType, present: T) -> T | UnsetType:
    return UNSET if value == present else value


def _scopes(token: Token, command: Update, context: Context) -> tuple[str, ...] | UnsetType:
    if command.scopes is UNSET:
        return UNSET
    granted = scopes.checked(command.scopes)
    refuse_beyond(command.by, granted, owner=token.owner)
    if granted != token.scopes:
        context.refuse_beyond_owner(granted)
        context.policy.refuse_undescribed(command.undescribed)
    if scopes.missing(token.scopes, granted):  # else a caller could park its scopes in a token that outlives it
        refuse_beyond_lifetime(command.by, token.expires_at)
    return granted


def _private(token: Token, command: Update) -> Private:
    name, description, metadata = command.name, command.description, command.metadata
    if name is not UNSET:
        name = text.checked_name(name)
    if description is not UNSET:
        description = text.checked("description", description, text.DESCRIPTION_LIMIT)
    if metadata is not UNSET:
        metadata = text.checked_metadata(metadata)
    return Private(
        name=UNSET if name == token.name else name,
        description=_changed(description, token.description),
        metadata=_changed(metadata, token.metadata),
    )


def _previous_until(token: Token, command: Update, at: datetime, context: Context) -> datetime | UnsetType | None:
    """Return the new end of the previous secret. A secret that has ended cannot be restored."""
    if command.previous_until is UNSET:
        return UNSET
    refuse_beyond_lifetime(command.by, token.expires_at)
    if not previous_is_good(token, at, context):
        raise PreviousSecretEnded
    return checked_grace_end(command.previous_until, at)


def _trust(token: Token, command: Update, context: Context) -> Trust | UnsetType:
    """Return the trust to put in place.

    An unchanged trust counts as stated again if another caller states it, or if all secrets were ended since.
    """
    trust = command.trust
    if trust is UNSET:
        return UNSET
    if token.trust is None:
        raise NoTrust
    checked_trust(trust)
    if command.by.is_token(token.id):  # the token would be the maker of its own trust
        raise BeyondCaller("A token cannot state its own trust; a user or another token must do it.")
    refuse_beyond_lifetime(command.by, token.expires_at)
    same = (trust, command.by.actor) == (token.trust, token.trust_by) and token.epoch >= context.epoch
    return UNSET if same else trust
