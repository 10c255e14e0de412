"""New secrets, once for all APIs: a token is issued, or turned to a new secret, and answered with the secret once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from uuid_utils.compat import uuid7

from counterfoil.core.principal import Principal
from counterfoil.core.secret import Secret, SecretShape
from counterfoil.core.subjects.token.commands import Change, Create, Rotate
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import AllOrNothing, Outcome
from counterfoil.uses.issue import NATIVE, Wish, creation, fresh_secret
from counterfoil_api.auth.credentials import SecretGiven
from counterfoil_api.handling.answering import answered
from counterfoil_api.handling.described import Undescribed, undescribed
from counterfoil_api.ledger import Ledger
from counterfoil_api.operations.retries import Retry

T = TypeVar("T")
Shown = Callable[[Outcome, str], T]
"""What is answered: of what came of it, and the plain secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How a token is to be given a new secret; see `Rotate`."""

    shape: SecretShape | None = None
    grace_seconds: int = 0
    previous_until: datetime | None = None
    ends_previous: bool = False
    lifetime: str | None = None
    expires_at: datetime | None = None
    forgets_use: bool = False
    revisions: frozenset[int] | None = None


async def issue(
    ledger: Ledger,
    asker: Principal,
    wish: Wish,
    retry: Retry | None,
    shown: Shown[T],
    *,
    kind: type[T],
    beside: Callable[[UUID], tuple[Change, ...]] = lambda _: (),
    foreign: Undescribed | None = None,
) -> T:
    """Issue a token; what `beside` says of its id is carried out with it, or none of it is.

    Vendors' clients cannot state from where and how often a token may be used: one of theirs is bounded as its maker
    is. Whoever asked already which of its scopes the catalogue does not describe says so: `foreign`.
    """
    if wish.dialect != NATIVE:
        bounds = asker.bounds
        wish = replace(wish, networks=bounds.networks, rate_limit=bounds.rate_limit, max_uses=bounds.max_uses)
    if foreign is None:
        foreign = await undescribed(ledger, asker, wish.scopes)
    token_id, secret = uuid7(), fresh_secret(wish.owner, wish.shape)
    command = creation(
        wish,
        asker,
        ledger.peppers,
        token_id=token_id,
        secret=secret,
        thresholds=ledger.settings.thresholds,
        undescribed=foreign.scopes,
    )
    return await _with_secret(ledger, command, secret, retry, shown, kind=kind, beside=beside(token_id))


async def trusting(
    ledger: Ledger,
    asker: Principal,
    wish: Wish,
    retry: Retry | None,
    shown: Callable[[Outcome], T],
    *,
    kind: type[T],
    foreign: Undescribed,
) -> T:
    """Issue a token that a trust opens in place of a secret."""
    command = creation(
        wish,
        asker,
        ledger.peppers,
        token_id=uuid7(),
        secret=None,
        thresholds=ledger.settings.thresholds,
        undescribed=foreign.scopes,
    )
    return await answered(ledger, command, retry, shown, kind=kind, holds_secret=False)


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
    secret = fresh_secret(token.owner, turn.shape)
    command = Rotate(
        account=asker.account,
        token_id=token.id,
        by=asker,
        secret=ledger.peppers.minted(secret),
        grace_seconds=turn.grace_seconds,
        previous_until=turn.previous_until,
        ends_previous=turn.ends_previous,
        lifetime=turn.lifetime,
        expires_at=turn.expires_at,
        forgets_use=turn.forgets_use,
        revisions=turn.revisions,
    )
    return await _with_secret(ledger, command, secret, retry, shown, kind=kind, beside=beside)


async def _with_secret(
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
    together = AllOrNothing((command, *beside)) if beside else command
    return await answered(
        ledger, together, retry, lambda outcome: shown(outcome, secret.plain), kind=kind, holds_secret=True
    )
