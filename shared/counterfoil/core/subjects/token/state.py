"""A token: what it is, how it became so, and when it is accepted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, Protocol, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from counterfoil.core.bounds import Bounds, Limits, OwnerQuota
from counterfoil.core.events import Fact, Private
from counterfoil.core.principal import Actor, Owner, Principal, on_behalf, refuse_beyond, refuse_beyond_bounds
from counterfoil.core.refusals import (
    Denied,
    OwnerDisabled,
    OwnerQuotaExceeded,
    SecretEnded,
    SecretRetired,
    TokenExpired,
    TokenRevoked,
    TokenSuspended,
    UsesExhausted,
)
from counterfoil.core.scopes import missing
from counterfoil.core.subjects.account import UNBOUND, Policy
from counterfoil.core.subjects.subject import SubjectState
from counterfoil.core.subjects.token.events import (
    UNREVISED,
    Created,
    Erased,
    Exchanged,
    Expired,
    Expiring,
    Renewed,
    Resumed,
    Revoked,
    Rotated,
    Suspended,
    TokenEvent,
    Updated,
)
from counterfoil.core.trust import Trust

OWNER_USED_UP: Final = (
    "The tokens of this owner were used as often as the owner's quota allows; its `max_uses` can be raised."
)
TokenStatus = Literal["active", "suspended", "revoked"]
Status = Literal["active", "suspended", "expired", "revoked"]
SESSION: Final = ".session"
"""How the dialect of a token ends that a login made."""
BOUNDED: Final = ".bounded"
"""What stands before that where the login was with something that ends by itself."""
FOUNDING: Final = "founding"
"""The dialect of a token that was made together with its account, in place of a login."""


class Token(SubjectState, frozen=True, kw_only=True):
    """The present state of a token; it never holds its secret.

    `epoch` is how often all secrets of its account had been ended when its present one was made, `previous_epoch` when
    the one before was.
    `status` is what people decided; `status_at` adds what time did. `lifetime_start` is when its present lifetime
    began, `announced` the smallest threshold of this lifetime that was announced (seconds; 0 is the expiry itself),
    `next_due_at` when the sweep has something to announce next. `hint` shows how its secret begins.
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
    dialect: str
    cloned_from: UUID | None
    networks: tuple[str, ...] = ()
    rate_limit: str | None = None
    max_uses: int | None = None
    trust: Trust | None = None
    trust_by: Actor | None = None
    reason: str | None
    suspended_by_owner: bool = False
    """Whether its owner may resume it; a suspension by anybody else takes more power than theirs."""

    @property
    def bounds(self) -> Bounds:
        """From where and how often it may be used."""
        return Bounds(self.networks, self.rate_limit, self.max_uses)


class Accepted(Protocol):
    """What decides whether a secret is accepted; a token's state and a look-up's row both have it."""

    @property
    def status(self) -> str: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def generation(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def previous_until(self) -> datetime | None: ...
    @property
    def previous_epoch(self) -> int: ...


class Room(msgspec.Struct, frozen=True):
    """How many tokens of an owner live at a moment, sessions apart, and how many may."""

    max_tokens: int
    live: int
    at: datetime


class Context(msgspec.Struct, frozen=True):
    """What the token's account and owner add to whether it is accepted, and for what.

    Secrets of an earlier `epoch` were ended: counted, not timed, since no clock is right at all times and everywhere.
    `owner` is the status of the user on whose behalf it acts, `owner_holds` all that they may do; both say nothing of
    owners who are no users of ours. `maker` is who stated a token's trust, with all that they hold at this moment; None
    is nobody who still may anything. `quota` is that of its owner, `used` and `owner_used` how often the token and all
    tokens of its owner were used, where that is limited.
    """

    policy: Policy = UNBOUND
    epoch: int = 0
    owner: str = "active"
    owner_holds: tuple[str, ...] | None = None
    maker: Principal | None = None
    quota: OwnerQuota | None = None
    used: int = 0
    owner_used: int = 0

    def limits(self, bounds: Bounds) -> Limits:
        """Return what a use of a token with these bounds is counted against."""
        return Limits(bounds.rate_limit, bounds.max_uses, self.quota)

    def left_of(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """Return what a token with these scopes may do at this moment: nothing that its user may not do."""
        return scopes if self.owner_holds is None else on_behalf(self.owner_holds, scopes)


ALONE: Final = Context()
"""Nothing is known that would refuse the token."""


def refusal_for(token: Accepted, generation: int, at: datetime, context: Context = ALONE) -> Denied | None:
    """Return why a secret (or bearer) of this generation is refused at this moment, or None if it is good.

    The exact instant of expiry is already too late.
    """
    if token.status == "revoked":
        return TokenRevoked()
    if generation != token.generation:
        until = token.previous_until
        if generation != token.generation - 1 or until is None or at >= until:
            return SecretRetired()
    if (token.epoch if generation == token.generation else token.previous_epoch) < context.epoch:
        return SecretEnded()
    if context.owner == "removed":
        return OwnerDisabled("The user who owned this token was removed; issue a token for another owner instead.")
    if context.owner != "active":
        return OwnerDisabled()
    if token.expires_at is not None and token.expires_at <= at:
        return TokenExpired()
    if token.status == "suspended":
        return TokenSuspended()
    return None


def previous_is_good(token: Accepted, at: datetime, context: Context = ALONE) -> bool:
    """Say whether the secret before the present one is still within its grace."""
    return token.previous_until is not None and at < token.previous_until and token.previous_epoch >= context.epoch


def used_up(bounds: Bounds, context: Context) -> UsesExhausted | None:
    """Return why a good secret is refused all the same: the token, or its owner, has no uses left."""
    if bounds.max_uses is not None and context.used >= bounds.max_uses:
        return UsesExhausted()
    most = None if context.quota is None else context.quota.max_uses
    if most is not None and context.owner_used >= most:
        return UsesExhausted(OWNER_USED_UP, of="owner")
    return None


def lives(token: Token, at: datetime) -> bool:
    """Say whether a token counts as one that its owner has: not revoked, not expired, and no session."""
    ended = token.status == "revoked" or (token.expires_at is not None and token.expires_at <= at)
    return not ended and not is_session(token.dialect)


def room_after(room: Room, before: Token | None, after: Token) -> Room:
    """Return what room is left after a token of the owner changed, or raise OwnerQuotaExceeded if there is none."""
    more = lives(after, room.at) - (before is not None and lives(before, room.at))
    if more > 0 and room.live >= room.max_tokens:
        raise OwnerQuotaExceeded(
            f"{after.owner.type}:{after.owner.id} has {room.live} live tokens, and its quota allows {room.max_tokens};"
            " revoke one of them, or raise the quota's max_tokens.",
            max_tokens=room.max_tokens, live=room.live,
        )  # fmt: skip
    return replace(room, live=room.live + more)


def is_session(dialect: str) -> bool:
    """Say whether a login made this token, in place of the credentials that were shown there."""
    return dialect.endswith(SESSION)


def stands_for_its_owner(dialect: str) -> bool:
    """Say whether a token may do what outlives it where sessions may: one that a password began, or the founding."""
    return dialect == FOUNDING or (is_session(dialect) and not dialect.endswith(f"{BOUNDED}{SESSION}"))


def good_until(token: Accepted, generation: int) -> datetime | None:
    """Return when a secret of this generation stops being good by itself; None is never."""
    ends = [end for end in (token.expires_at, token.previous_until if generation < token.generation else None) if end]
    return min(ends, default=None)


def status_at(token: Token, at: datetime, context: Context = ALONE) -> Status:
    """Return the status as people know it; expiry counts from its instant, whether or not the sweep has been.

    A token whose user was removed is revoked: nobody can ever use it again.
    """
    if token.status == "revoked" or context.owner == "removed":
        return "revoked"
    if token.expires_at is not None and token.expires_at <= at:
        return "expired"
    return token.status


def pending(token: Token) -> list[int]:
    """Return the thresholds of this lifetime not yet announced, in seconds, 0 being the expiry itself.

    A threshold counts only if the whole lifetime is longer: a notice of one day helps nobody with a 1 h token. Nor does
    a notice that a session ends.
    """
    if token.expires_at is None or token.status == "revoked" or is_session(token.dialect):
        return []
    lifetime = token.expires_at - token.lifetime_start
    known = [0, *(t for t in token.thresholds if timedelta(seconds=t) < lifetime)]
    return [t for t in known if token.announced is None or t < token.announced]


def evolve(token: Token | None, fact: Fact) -> Token:
    """Return the state after one more thing happened. The only fold: the door, the audit and as-of all use it."""
    event: TokenEvent = fact.event  # type: ignore[assignment] # TOKEN_EVENTS is exactly this union
    if token is None:
        if not isinstance(event, Created):
            raise ValueError(f"{fact.subject.id} begins with {fact.type}, not with created")
        return _due(_born(fact, event))
    if isinstance(event, Exchanged):  # by far the most frequent, and it can change nothing else
        return replace(token, version=fact.version, at=fact.at, last_exchanged_at=fact.at)
    revised = fact.type not in UNREVISED
    changed = replace(
        _after(token, event, fact),
        version=fact.version,
        at=fact.at,
        revision=token.revision + revised,
        updated_at=fact.at if revised else token.updated_at,
    )
    return _due(changed)


def _born(fact: Fact, event: Created) -> Token:
    said, trust = event.private or Private(), event.trust or None
    return Token(
        account=fact.account, id=fact.subject.id, number=event.number, owner=event.owner, creator=fact.by,
        name=said.name or None, description=said.description or "", scopes=event.scopes,
        metadata=said.metadata or {}, status="active", lifetime=event.lifetime, expires_at=event.expires_at,
        lifetime_start=fact.at, thresholds=event.thresholds, announced=None, next_due_at=None, created_at=fact.at,
        updated_at=fact.at, last_exchanged_at=None, generation=event.generation, epoch=event.epoch,
        previous_until=None, previous_epoch=event.epoch, hint=event.hint, dialect=event.dialect,
        cloned_from=event.cloned_from, networks=event.networks or (), rate_limit=event.rate_limit or None,
        max_uses=event.max_uses or None, trust=trust, trust_by=fact.by if trust else None, reason=None,
        revision=1, version=fact.version, at=fact.at,
    )  # fmt: skip


def _after(token: Token, event: TokenEvent, fact: Fact) -> Token:
    match event:
        case Updated():
            return _updated(_trusting(token, event, fact.by), event)
        case Renewed(expires_at=expires_at, lifetime=lifetime):
            return replace(token, expires_at=expires_at, lifetime=lifetime, lifetime_start=fact.at, announced=None)
        case Rotated(generation=generation, previous_until=until, hint=hint, epoch=epoch, forgets_use=forgets):
            used = None if forgets is True else token.last_exchanged_at
            return replace(
                token,
                generation=generation,
                previous_until=until,
                hint=hint,
                last_exchanged_at=used,
                epoch=epoch,
                previous_epoch=token.epoch,
            )
        case Suspended(private=said, by_owner=by_owner):
            reason = (said and said.reason) or None
            return replace(token, status="suspended", reason=reason, suspended_by_owner=by_owner)
        case Resumed():
            return replace(token, status="active", reason=None, suspended_by_owner=False)
        case Expiring(threshold=threshold):
            return replace(token, announced=threshold)
        case Expired():
            return replace(token, announced=0)
        case Revoked(private=said):
            return replace(token, status="revoked", reason=(said and said.reason) or None)
        case Erased():
            return replace(token, name=None, description="", metadata={}, reason=None)
        case Created() | Exchanged():
            raise ValueError("a token is created once; its exchanges are folded above")
    assert_never(event)


def _updated(token: Token, event: Updated) -> Token:
    said = event.private or Private()
    return replace(
        token,
        name=token.name if said.name is UNSET else said.name,
        description=token.description if said.description is UNSET else said.description,
        metadata=token.metadata if said.metadata is UNSET else said.metadata,
        scopes=token.scopes if event.scopes is UNSET else event.scopes,
        networks=token.networks if event.networks is UNSET else event.networks,
        rate_limit=token.rate_limit if event.rate_limit is UNSET else event.rate_limit,
        max_uses=token.max_uses if event.max_uses is UNSET else event.max_uses,
        previous_until=token.previous_until if event.previous_until is UNSET else event.previous_until,
    )


def _trusting(token: Token, event: Updated, by: Actor) -> Token:
    """Return the token with the trust that was stated, by whom; who gives it more scopes answers for it, too."""
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
