"""Issuing: the one place that turns a wish for a token into the command that creates it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from counterfoil.core.principal import Owner, Principal
from counterfoil.core.secret import Digestible, Peppers, Secret, SecretShape, mint
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.trust import Trust

NATIVE: Final = "native"
"""The dialect of tokens that our own API created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A token as a caller wants it. Without a `shape` its secret has our own form; with a `trust` it has no secret."""

    name: str
    owner: Owner
    description: str = ""
    scopes: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    rate_limit: str | None = None
    max_uses: int | None = None
    lifetime: str | None = None
    expires_at: datetime | None = None
    may_have_expired: bool = False
    made_at: datetime | None = None
    cloned_from: UUID | None = None
    dialect: str = NATIVE
    shape: SecretShape | None = None
    trust: Trust | None = None


def fresh_secret(owner: Owner, shape: SecretShape | None) -> Secret:
    """Return a new secret of this shape; without one, in our own form for this owner."""
    return mint(owner.type) if shape is None else shape.mint()


def issue(
    wish: Wish,
    by: Principal,
    peppers: Peppers,
    *,
    number: int = 0,
    thresholds: tuple[int, ...] = (),
    undescribed: tuple[str, ...] = (),
) -> tuple[Create, Secret | None]:
    """Return the command that creates this token, and its new secret; a token with a trust has none."""
    secret = None if wish.trust is not None else fresh_secret(wish.owner, wish.shape)
    command = creation(
        wish, by, peppers, token_id=uuid7(), secret=secret, number=number, thresholds=thresholds,
        undescribed=undescribed,
    )  # fmt: skip
    return command, secret


def creation(
    wish: Wish,
    by: Principal,
    peppers: Peppers,
    *,
    token_id: UUID,
    secret: Digestible | None,
    number: int = 0,
    thresholds: tuple[int, ...] = (),
    undescribed: tuple[str, ...] = (),
    imported_digests: tuple[bytes, ...] = (),
) -> Create:
    """Return the command that creates this token with a secret that exists already, or with none; see `Create`."""
    return Create(
        account=by.account,
        id=token_id,
        by=by,
        number=number,
        owner=wish.owner,
        name=wish.name,
        secret=None if secret is None else peppers.minted(secret),
        trust=wish.trust,
        imported_digests=imported_digests,
        description=wish.description,
        scopes=wish.scopes,
        undescribed=undescribed,
        metadata=wish.metadata,
        networks=wish.networks,
        rate_limit=wish.rate_limit,
        max_uses=wish.max_uses,
        lifetime=wish.lifetime,
        expires_at=wish.expires_at,
        may_have_expired=wish.may_have_expired,
        made_at=wish.made_at,
        thresholds=thresholds,
        cloned_from=wish.cloned_from,
        dialect=wish.dialect,
    )
