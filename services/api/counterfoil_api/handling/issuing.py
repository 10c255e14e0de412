"""What handlers issue tokens with, in every API: each plain secret is in one reply and nowhere else."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from counterfoil.core.credentials import SecretGiven
from counterfoil.core.principal import Principal
from counterfoil.core.secret import Secret, SecretShape
from counterfoil.core.subjects.token.commands import Create, Rotate, TokenCommand
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import AllOrNothing, Outcome
from counterfoil.uses.issue import NATIVE, Wish, fresh_secret, issue
from counterfoil_api.handling.described import Undescribed, undescribed
from counterfoil_api.handling.reading import Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.limits.seen_secrets import SeenSecrets
from counterfoil_api.operations.retries import Retry

T = TypeVar("T")
Render = Callable[[Outcome, str], T]
"""Makes the reply of the outcome and the plain secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """How a token gets a new secret; see `Rotate`."""

    shape: SecretShape | None = None
    grace_seconds: int = 0
    previous_until: datetime | None = None
    ends_previous: bool = False
    lifetime: str | None = None
    expires_at: datetime | None = None
    forgets_use: bool = False
    revisions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Issuing:
    """Issues tokens and gives them new secrets."""

    reading: Reading
    writing: Writing
    seen_secrets: SeenSecrets
    thresholds: tuple[int, ...]

    async def issue(
        self,
        caller: Principal,
        wish: Wish,
        retry: Retry | None,
        render: Render[T],
        *,
        kind: type[T],
        also: Callable[[UUID], tuple[TokenCommand, ...]] = lambda _: (),
        unlisted: Undescribed | None = None,
    ) -> T:
        """Issue a token, and in the same transaction carry out the changes that `also` returns for its id.

        Vendors' clients cannot state networks and limits, so a token of a dialect has those of its creator. A caller
        that has looked up which scopes the catalogue does not describe passes them as `unlisted`.
        """
        if wish.dialect != NATIVE:
            bounds = caller.bounds
            wish = replace(wish, networks=bounds.networks, rate_limit=bounds.rate_limit, max_uses=bounds.max_uses)
        if unlisted is None:
            unlisted = await undescribed(self.reading, caller, wish.scopes)
        command, secret = self._issue(caller, wish, unlisted)
        if secret is None:
            raise TypeError("a token with a trust has no secret to show")
        return await self._with_secret(command, secret, retry, render, kind=kind, also=also(command.id))

    async def issue_trusting(
        self,
        caller: Principal,
        wish: Wish,
        retry: Retry | None,
        render: Callable[[Outcome], T],
        *,
        kind: type[T],
        unlisted: Undescribed,
    ) -> T:
        """Issue a token that has a trust instead of a secret."""
        command, _ = self._issue(caller, wish, unlisted)
        return await self.writing.reply(command, retry, render, kind=kind, holds_secret=False)

    async def rotate(
        self,
        caller: Principal,
        token: Token,
        retry: Retry | None,
        render: Render[T],
        *,
        kind: type[T],
        new_secret: NewSecret,
        also: tuple[TokenCommand, ...] = (),
    ) -> T:
        """Give a token a new secret, and carry out the changes `also` in the same transaction."""
        secret = fresh_secret(token.owner, new_secret.shape)
        command = Rotate(
            account=caller.account,
            id=token.id,
            by=caller,
            secret=self.writing.peppers.minted(secret),
            grace_seconds=new_secret.grace_seconds,
            previous_until=new_secret.previous_until,
            ends_previous=new_secret.ends_previous,
            lifetime=new_secret.lifetime,
            expires_at=new_secret.expires_at,
            forgets_use=new_secret.forgets_use,
            revisions=new_secret.revisions,
        )
        return await self._with_secret(command, secret, retry, render, kind=kind, also=also)

    def _issue(self, caller: Principal, wish: Wish, unlisted: Undescribed) -> tuple[Create, Secret | None]:
        peppers = self.writing.peppers
        return issue(wish, caller, peppers, thresholds=self.thresholds, undescribed=unlisted.scopes)

    async def _with_secret(
        self,
        command: Create | Rotate,
        secret: Secret,
        retry: Retry | None,
        render: Render[T],
        *,
        kind: type[T],
        also: tuple[TokenCommand, ...],
    ) -> T:
        self.seen_secrets.add(SecretGiven(secret.plain))
        together = AllOrNothing((command, *also)) if also else command
        return await self.writing.reply(
            together, retry, lambda outcome: render(outcome, secret.plain), kind=kind, holds_secret=True
        )
