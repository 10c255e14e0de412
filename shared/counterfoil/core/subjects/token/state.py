"""A token's state, and how each event changes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, Protocol, assert_never
from uuid import UUID

from msgspec import UNSET
from msgspec.structs import replace

from counterfoil.core.bounds import Bounds
from counterfoil.core.events import Fact
from counterfoil.core.principal import Actor, Owner, Principal, refuse_beyond, refuse_beyond_bounds
from counterfoil.core.scopes import missing
from counterfoil.core.subjects.subject import SubjectState
from counterfoil.core.subjects.token import events
from counterfoil.core.trust import Trust

TokenStatus = Literal["active", "suspended", "revoked"]
SESSION: Final = ".session"
"""The suffix of the dialect of a token that a login created."""
BOUNDED: Final = ".bounded"
"""A further suffix before that, if the login used a credential that expires."""
FOUNDING: Final = "founding"
"""The dialect of the token that was created together with its account, in place of a login."""


class Token(SubjectState, frozen=True, kw_only=True):
    """The present state of a token; it never holds its secret.

    `epoch` is how often all secrets of its account had been ended when its present one was made, `previous_epoch` when
    the one before was.
    `status` is what people decided; `status_at` adds what time did. `lifetime_start` is when its present lifetime
    began, `announced` the smallest threshold of this lifetime that was announced (seconds; 0 is the expiry itself),
    `next_due_at` when the sweep has something to announce next. `hint` shows how its secret begins, `previous_hint`
    how the one before did. `grace_start` is when the present grace of that one began: at `rotated_at`, or when it was
    changed; `grace_announced` is the threshold (seconds) at which the end of this grace was announced.
    A token with a `trust` has no secret; `trust_by` stated that last, or gave it more scopes.
    """

    number: int
    owner: Owner
    creator: Actor
    description: str
    scopes: tuple[str, ...]
    metadata: dict[str, str]
    status: TokenStatus
    lifetime: str | None
    expires_at: datetime | None
    lifetime_start: datetime
    thresholds: tuple[int, ...]
    announced: int | None
    next_due_at: datetime | None
    last_exchanged_at: datetime | None
    generation: int
    epoch: int
    previous_until: datetime | None
    previous_epoch: int
    hint: str
    previous_hint: str = ""
    rotated_at: datetime | None = None
    grace_start: datetime | None = None
    grace_announced: int | None = None
    dialect: str
    cloned_from: UUID | None
    networks: tuple[str, ...] = ()
    rate_limit: str | None = None
    max_uses: int | None = None
    trust: Trust | None = None
    trust_by: Actor | None = None
    reason: str | None
    suspended_by_owner: bool = False
    """Whether its owner may resume it; after a suspension by another caller the owner may not."""

    @property
    def bounds(self) -> Bounds:
        """The networks from which it may be used, and how often."""
        return Bounds(self.networks, self.rate_limit, self.max_uses)


def is_session(dialect: str) -> bool:
    """Say whether a login created this token, to stand for the credentials that were presented."""
    return dialect.endswith(SESSION)


def stands_for_its_owner(dialect: str) -> bool:
    """Say whether a token may do what outlives it, as password sessions and the founding token may."""
    return dialect == FOUNDING or (is_session(dialect) and not dialect.endswith(f"{BOUNDED}{SESSION}"))


class Lasting(Protocol):
    """The fields that decide how long before its expiry a token is announced."""

    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def lifetime_start(self) -> datetime: ...
    @property
    def thresholds(self) -> tuple[int, ...]: ...
    @property
    def dialect(self) -> str: ...


def thresholds_that_count(token: Lasting) -> list[int]:
    """Return the thresholds of this lifetime, in seconds.

    A threshold counts only if the whole lifetime is longer: a notice of one day helps nobody with a 1 h token. Nor does
    a notice that a session ends.
    """
    if token.expires_at is None or is_session(token.dialect):
        return []
    lifetime = token.expires_at - token.lifetime_start
    return [t for t in token.thresholds if timedelta(seconds=t) < lifetime]


def pending(token: Token) -> list[int]:
    """Return the thresholds that count and are not yet announced, in seconds, 0 being the expiry itself."""
    if token.expires_at is None or token.status == "revoked" or is_session(token.dialect):
        return []
    known = [0, *thresholds_that_count(token)]
    return [t for t in known if token.announced is None or t < token.announced]


def evolve(token: Token | None, fact: Fact) -> Token:
    """Return the state after one more event. The door, the audit and past states all use this function."""
    event: events.TokenEvent = fact.event  # type: ignore[assignment] # TOKEN_EVENTS is exactly this union
    if token is None:
        if not isinstance(event, events.Created):
            raise ValueError(f"{fact.subject.id} begins with {fact.type}, not with created")
        return _due(_born(fact, event))
    if isinstance(event, events.Exchanged):  # by far the most frequent event; it changes nothing else
        return replace(token, version=fact.version, at=fact.at, last_exchanged_at=fact.at)
    revised = fact.type not in events.UNREVISED
    changed = replace(
        _after(token, event, fact),
        version=fact.version,
        at=fact.at,
        revision=token.revision + revised,
        updated_at=fact.at if revised else token.updated_at,
    )
    return _due(changed)


def _born(fact: Fact, event: events.Created) -> Token:
    private, trust = event.private, event.trust or None
    return Token(
        account=fact.account, id=fact.subject.id, number=event.number, owner=event.owner, creator=fact.by,
        name=private.name or None, description=private.description or "", scopes=event.scopes,
        metadata=private.metadata or {}, status="active", lifetime=event.lifetime, expires_at=event.expires_at,
        lifetime_start=fact.at, thresholds=event.thresholds, announced=None, next_due_at=None, created_at=fact.at,
        updated_at=fact.at, last_exchanged_at=None, generation=event.generation, epoch=event.epoch,
        previous_until=None, previous_epoch=event.epoch, hint=event.hint, dialect=event.dialect,
        cloned_from=event.cloned_from, networks=event.networks or (), rate_limit=event.rate_limit or None,
        max_uses=event.max_uses or None, trust=trust, trust_by=fact.by if trust else None, reason=None,
        revision=1, version=fact.version, at=fact.at,
    )  # fmt: skip


def _after(token: Token, event: events.TokenEvent, fact: Fact) -> Token:
    match event:
        case events.Updated():
            return _updated(_trusting(token, event, fact.by), event, fact.at)
        case events.Renewed(expires_at=expires_at, lifetime=lifetime):
            return replace(token, expires_at=expires_at, lifetime=lifetime, lifetime_start=fact.at, announced=None)
        case events.Rotated(generation=generation, previous_until=until, hint=hint, epoch=epoch, forgets_use=forgets):
            used = None if forgets is True else token.last_exchanged_at
            return replace(
                token,
                generation=generation,
                previous_until=until,
                hint=hint,
                previous_hint=token.hint,
                rotated_at=fact.at,
                grace_start=fact.at,
                grace_announced=None,
                last_exchanged_at=used,
                epoch=epoch,
                previous_epoch=token.epoch,
            )
        case events.RotationConfirmed() | events.GraceExtended():
            until = event.previous_until if isinstance(event, events.GraceExtended) else None
            return _with_grace(token, until, fact.at)
        case events.GraceEnding(threshold=threshold):
            return replace(token, grace_announced=threshold)
        case events.Suspended(private=private, by_owner=by_owner):
            reason = private.reason or None
            return replace(token, status="suspended", reason=reason, suspended_by_owner=by_owner)
        case events.Resumed():
            return replace(token, status="active", reason=None, suspended_by_owner=False)
        case events.Expiring(threshold=threshold):
            return replace(token, announced=threshold)
        case events.Expired():
            return replace(token, announced=0)
        case events.Revoked(private=private):
            return replace(token, status="revoked", reason=private.reason or None)
        case events.Erased():
            return replace(token, name=None, description="", metadata={}, reason=None)
        case events.Created() | events.Exchanged():
            raise ValueError("a token is created once; its exchanges are folded above")
    assert_never(event)


def _with_grace(token: Token, until: datetime | None, at: datetime) -> Token:
    """Return the token with another end of its previous secret; the sweep may announce this one, too."""
    return replace(token, previous_until=until, grace_start=at, grace_announced=None)


def _updated(token: Token, event: events.Updated, at: datetime) -> Token:
    if event.previous_until is not UNSET:
        token = _with_grace(token, event.previous_until, at)
    private = event.private
    stated = {
        "name": private.name, "description": private.description, "metadata": private.metadata,
        "scopes": event.scopes, "networks": event.networks, "rate_limit": event.rate_limit,
        "max_uses": event.max_uses,
    }  # fmt: skip
    return replace(token, **{field: value for field, value in stated.items() if value is not UNSET})


def _trusting(token: Token, event: events.Updated, by: Actor) -> Token:
    """Return the token with its trust and the trust's maker, which also changes with an update that adds scopes."""
    if event.trust is not UNSET:
        return replace(
            token,
            trust=event.trust,
            trust_by=by,
            generation=token.generation + 1,
            previous_until=None,
            epoch=event.epoch or 0,
            previous_epoch=token.epoch,
        )
    if token.trust is not None and event.scopes is not UNSET and missing(token.scopes, event.scopes):
        return replace(token, trust_by=by)
    return token


def _due(token: Token) -> Token:
    left = pending(token)
    due = token.expires_at - timedelta(seconds=max(left)) if left and token.expires_at else None
    return token if due == token.next_due_at else replace(token, next_due_at=due)


def refuse_beyond_token(caller: Principal, token: Token) -> None:
    """Raise BeyondCaller if the token may do more than the caller, or be used from elsewhere or more often."""
    refuse_beyond(caller, token.scopes, owner=token.owner)
    refuse_beyond_bounds(caller, token.bounds)
