"""Handlers of every API issue tokens with `Issuing`; each plain secret is in one reply and nowhere else."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict, TypeVar
from uuid import UUID

from counterfoil.core.credentials import SecretGiven
from counterfoil.core.principal import Principal
from counterfoil.core.secret import Secret, SecretShape
from counterfoil.core.subjects.token.commands import Rotate, TokenCommand
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
"""Makes the reply of the outcome and the plain secret, which is empty for a token with a trust."""


class NewSecret(TypedDict, total=False):
    """What becomes of the previous secret and of the lifetime when a token gets a new secret; see `Rotate`."""

    grace_seconds: int
    previous_until: datetime | None
    ends_previous: bool
    lifetime: str | None
    expires_at: datetime | None
    forgets_use: bool
    revisions: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Issuing:
    """Issues tokens and gives them new secrets."""

    reading: Reading
    writing: Writing
    seen_secrets: SeenSecrets
    thresholds: tuple[int, ...]

    async def issue(
        self, caller: Principal, wish: Wish, retry: Retry | None, render: Render[T], *, kind: type[T],
        also: Callable[[UUID], tuple[TokenCommand, ...]] = lambda _: (), unlisted: Undescribed | None = None,
    ) -> T:  # fmt: skip
        """Issue a token, and in the same transaction carry out the changes that `also` returns for its id.

        Vendors' clients cannot state networks and limits, so a token of a dialect has those of its creator. A caller
        that has looked up which scopes the catalogue does not describe passes them as `unlisted`.
        """
        if wish.dialect != NATIVE:
            bounds = caller.bounds
            wish = replace(wish, networks=bounds.networks, rate_limit=bounds.rate_limit, max_uses=bounds.max_uses)
        if unlisted is None:
            unlisted = await undescribed(self.reading, caller, wish.scopes)
        peppers = self.writing.peppers
        command, secret = issue(wish, caller, peppers, thresholds=self.thresholds, undescribed=unlisted.scopes)
        return await self._reply((command, *also(command.id)), secret, retry, render, kind=kind)

    async def rotate(
        self, caller: Principal, token: Token, retry: Retry | None, render: Render[T], *, kind: type[T],
        new_secret: NewSecret, shape: SecretShape | None = None, also: tuple[TokenCommand, ...] = (),
    ) -> T:  # fmt: skip
        """Give a token a new secret, and carry out the changes `also` in the same transaction."""
        secret = fresh_secret(token.owner, shape)
        command = Rotate(
            account=caller.account, id=token.id, by=caller, secret=self.writing.peppers.minted(secret),
            **new_secret,
        )  # fmt: skip
        return await self._reply((command, *also), secret, retry, render, kind=kind)

    async def _reply(
        self, commands: tuple[TokenCommand, ...], secret: Secret | None, retry: Retry | None, render: Render[T], *,
        kind: type[T],
    ) -> T:  # fmt: skip
        plain = "" if secret is None else secret.plain
        if secret is not None:
            self.seen_secrets.add(SecretGiven(plain))
        command = commands[0] if len(commands) == 1 else AllOrNothing(commands)
        return await self.writing.reply(
            command, retry, lambda outcome: render(outcome, plain), kind=kind, holds_secret=secret is not None
        )
