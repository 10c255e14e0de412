"""Issuing, once for all: from what is wished for to a command and its secret, and what is answered to it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from uuid_utils.compat import uuid7

from counterfoil.commands import Change, Create, Rotate
from counterfoil.fold import Outcome, Together
from counterfoil.principal import Owner, Principal
from counterfoil.secret import Secret, SecretShape, mint
from counterfoil.token import Token
from counterfoil_api.account.described import undescribed
from counterfoil_api.auth.credentials import SecretGiven
from counterfoil_api.ledger import Ledger
from counterfoil_api.typed.answering import answered
from counterfoil_api.typed.retries import Retry

T = TypeVar("T")
Shown = Callable[[Outcome, str], T]
"""What is answered: of what came of it, and the plain secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A token that somebody wishes to have; without a `shape` its secret has our own form."""

    name: str
    owner: Owner
    description: str = ""
    scopes: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    rate_limit: str | None = None
    duration: str | None = None
    expires_at: datetime | None = None
    may_have_expired: bool = False
    cloned_from: UUID | None = None
    dialect: str = "native"
    shape: SecretShape | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How a token is to be given a new secret; see `Rotate`."""

    shape: SecretShape | None = None
    grace_seconds: int = 0
    previous_until: datetime | None = None
    duration: str | None = None
    expires_at: datetime | None = None
    forgets_use: bool = False
    revisions: frozenset[int] | None = None


async def creation(ledger: Ledger, asker: Principal, wish: Wish) -> tuple[Create, Secret]:
    """Return the command that makes a token, and the secret that it will have."""
    secret = wish.shape.mint() if wish.shape else mint(wish.owner.type)
    command = Create(
        account=asker.account,
        token_id=uuid7(),
        by=asker,
        owner=wish.owner,
        name=wish.name,
        secret=ledger.peppers.minted(secret),
        description=wish.description,
        scopes=wish.scopes,
        undescribed=(await undescribed(ledger, asker, wish.scopes)).scopes,
        metadata=wish.metadata,
        networks=wish.networks,
        rate_limit=wish.rate_limit,
        duration=wish.duration,
        expires_at=wish.expires_at,
        may_have_expired=wish.may_have_expired,
        thresholds=ledger.settings.thresholds,
        cloned_from=wish.cloned_from,
        dialect=wish.dialect,
    )
    return command, secret


async def issue(
    ledger: Ledger,
    asker: Principal,
    wish: Wish,
    retry: Retry | None,
    shown: Shown[T],
    *,
    kind: type[T],
    beside: Callable[[UUID], tuple[Change, ...]] = lambda _: (),
) -> T:
    """Issue a token; what `beside` says of its id is carried out with it, or none of it is."""
    command, secret = await creation(ledger, asker, wish)
    return await with_secret(ledger, command, secret, retry, shown, kind=kind, beside=beside(command.token_id))


async def rotate(
    ledger: Ledger,
    asker: Principal,
    token: Token,
    retry: Retry | None,
    shown: Shown[T],
    *,
    kind: type[T],
    turn: Turn,
    beside: tuple[Change, ...] = (),
) -> T:
    """Give a token a new secret; the changes `beside` are carried out with it, or none of it is."""
    secret = turn.shape.mint() if turn.shape else mint(token.owner.type)
    command = Rotate(
        account=asker.account,
        token_id=token.id,
        by=asker,
        secret=ledger.peppers.minted(secret),
        grace_seconds=turn.grace_seconds,
        previous_until=turn.previous_until,
        duration=turn.duration,
        expires_at=turn.expires_at,
        forgets_use=turn.forgets_use,
        revisions=turn.revisions,
    )
    return await with_secret(ledger, command, secret, retry, shown, kind=kind, beside=beside)


async def with_secret(
    ledger: Ledger,
    command: Create | Rotate,
    secret: Secret,
    retry: Retry | None,
    shown: Shown[T],
    *,
    kind: type[T],
    beside: tuple[Change, ...] = (),
) -> T:
    """Carry out what makes a secret, and answer with it, once."""
    ledger.limits.marks.met(SecretGiven(secret.plain))
    together = Together((command, *beside)) if beside else command
    return await answered(
        ledger, together, retry, lambda outcome: shown(outcome, secret.plain), kind=kind, holds_secret=True
    )
