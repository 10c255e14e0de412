"""Exchange a secret, a bearer or a JWT for a bearer, which never has more rights than the original."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import UNSET, UnsetType

from counterfoil.core import scopes, text
from counterfoil.core.bounds import Uncounted, admits
from counterfoil.core.principal import handed_on, refuse_beyond_scopes
from counterfoil.core.refusals import (
    BeyondAudience,
    MakerGone,
    NetworkForbidden,
    SecretEnded,
    TokenExpired,
    TokenNetworkForbidden,
    TrustRefused,
    UnknownSecret,
)
from counterfoil.core.scopes import meet
from counterfoil.core.subjects.token.acceptance import ALONE, Context, good_until, refusal_for, used_up
from counterfoil.core.subjects.token.commands import Exchange
from counterfoil.core.subjects.token.events import Asserted, Exchanged
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.trust import Assertion, matched


def exchanged(token: Token, command: Exchange, at: datetime, context: Context = ALONE) -> Exchanged:
    """Return the bearer that is issued, or raise a Refusal; every rule is checked again, each time."""
    if command.actors and command.by.account != token.account:
        raise UnknownSecret  # another account's token gets the same response as an unknown one
    asserted = UNSET if command.assertion is None else _asserted(token, command.assertion, at)
    generation = command.generation if asserted is UNSET else token.generation
    _refuse_unaccepted(token, generation, at, context)
    if not context.policy.admits(command.address):
        raise NetworkForbidden
    if not admits(token.networks, command.address):
        raise TokenNetworkForbidden
    if token.trust is not None:
        _refuse_maker(command, context)
    limits = context.limits(token.bounds)
    if limits != command.counted:
        if exhausted := used_up(token.bounds, context):
            raise exhausted
        raise Uncounted(token.account, token.id, limits)
    return Exchanged(
        jti=command.jti,
        generation=generation,
        audience=_audience(command),
        scopes=_scopes(token, command, context),
        expires_at=_end(token, command, at, context),
        actors=command.actors,
        assertion=asserted,
    )


def _asserted(token: Token, assertion: Assertion, at: datetime) -> Asserted | UnsetType:
    """Return the claims by which a JWT opens the token. No earlier refusal reveals the token's state."""
    trust = token.trust
    if trust is None:
        raise UnknownSecret
    if (assertion.issuer, assertion.audience) != (trust.issuer, trust.audience):
        raise TrustRefused("The token's trust was changed in the meantime; try again.")
    claims = matched(trust, assertion.claims, at)
    digest = assertion.digest
    if trust.once and digest is None:
        raise TrustRefused("The JWT has no jti, by which it could be accepted once; let the issuer add one.")
    return Asserted(issuer=assertion.issuer, claims=claims, jti=None if digest is None else digest.hex())


def _refuse_unaccepted(token: Token, generation: int, at: datetime, context: Context) -> None:
    denied = refusal_for(token, generation, at, context)
    if isinstance(denied, SecretEnded) and token.trust is not None:
        raise SecretEnded("All secrets of this account were revoked, and trusts with them; state its trust again.")
    if denied:
        raise denied


def _refuse_maker(command: Exchange, context: Context) -> None:
    """Refuse a trust whose maker may do nothing any more, or may not be used from this address."""
    if context.maker is None:
        raise MakerGone
    if not admits(context.maker.bounds.networks, command.address):
        raise TokenNetworkForbidden


def _scopes(token: Token, command: Exchange, context: Context) -> tuple[str, ...]:
    there = context.left_of(token.scopes)
    if token.trust is not None and context.maker is not None:
        there = handed_on(context.maker, there, owner=token.owner)
    if command.held is not None:
        there = meet(there, command.held.scopes)
    if command.scopes is None:
        return there
    granted = scopes.checked(command.scopes)
    refuse_beyond_scopes(there, granted)
    return granted


def _audience(command: Exchange) -> tuple[str, ...]:
    wanted = tuple(text.checked("audience", name, text.NAME_LIMIT) for name in command.audience)
    if command.held is None:
        return wanted
    if not set(wanted) <= set(command.held.audience):
        raise BeyondAudience
    return wanted or command.held.audience


def _end(token: Token, command: Exchange, at: datetime, context: Context) -> datetime:
    presented = [command.held.expires_at] if command.held else []
    if command.actors and command.by.expires_at is not None:
        presented.append(command.by.expires_at)
    if any(end <= at for end in presented):
        raise TokenExpired
    own = good_until(token, token.generation if command.assertion else command.generation)
    maker = context.maker.expires_at if token.trust is not None and context.maker is not None else None
    ends = [end for end in (own, maker) if end is not None]
    return min([at + timedelta(seconds=command.lifetime_seconds), *presented, *ends])
