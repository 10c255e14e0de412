"""Look-ups by digest or id of what decides whether a token is accepted."""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.core.bounds import UNBOUNDED, Bounds
from counterfoil.core.principal import Owner
from counterfoil.core.subjects.token.acceptance import ALONE, Context
from counterfoil.core.subjects.token.state import TokenStatus
from counterfoil.core.trust import Trust
from counterfoil.postgres import signing_keys, token_context
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.gather import Gather
from counterfoil.postgres.token_row import numbers, trust_of, words

COLUMNS: Final = f"""t.account_id, t.token_id, t.number, t.owner_type, t.owner_id, t.scopes, t.status, t.expires_at,
       t.generation, t.epoch, t.previous_until, t.previous_epoch, t.networks, t.rate_limit, t.max_uses,
       t.dialect, t.created_at, t.lifetime_start, t.thresholds, clock_timestamp() as at,
       {token_context.COLUMNS}"""


_AGE: Final = itemgetter("created_at")
"""By the clock of the database; the time in an id is from the clock of the process that made it."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A token at the moment `at` of the database's clock: what decides whether it is accepted, and until when.

    `presented` is the generation of the secret that led here; None after a look-up by id.
    """

    account: UUID
    id: UUID
    number: int
    owner: Owner
    scopes: tuple[str, ...]
    status: TokenStatus
    expires_at: datetime | None
    generation: int
    epoch: int
    previous_until: datetime | None
    previous_epoch: int
    bounds: Bounds = UNBOUNDED
    dialect: str = "native"
    created_at: datetime
    lifetime_start: datetime
    thresholds: tuple[int, ...]
    at: datetime
    context: Context = ALONE
    presented: int | None
    ring: int | None = None
    """At which version the signing keys were, after a look-up by id."""
    pepper_id: int | None = None
    """Under which pepper the secret was found, after a look-up by digests."""


class Trusting(msgspec.Struct, frozen=True, kw_only=True):
    """A token with a trust, in any status, at the moment `at` of the database's clock."""

    account: UUID
    id: UUID
    trust: Trust
    at: datetime


class Lookup:
    """Combined look-ups of tokens, always exact, because nothing is cached."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        # These return rows, which each caller decodes itself: a row that cannot be decoded fails only its own caller.
        self._by_digests: Gather[tuple[bytes, ...], asyncpg.Record] = Gather(self._fetch_digests)
        self._by_id: Gather[tuple[UUID, UUID], asyncpg.Record] = Gather(self._fetch_ids)

    async def by_digests(self, digests: tuple[bytes, ...]) -> Seen | None:
        """Return the token that one of these digests (at least one a pepper) opens: the first that does."""
        row = await self._by_digests.get(digests)
        return None if row is None else seen_of(row, row["presented"], pepper_id=row["pepper_id"])

    async def by_id(self, account: UUID, token_id: UUID) -> Seen | None:
        """Return a token of this account."""
        row = await self._by_id.get((account, token_id))
        return None if row is None else seen_of(row, None, ring=row["ring"])

    async def by_trust(self, token_id: UUID) -> Trusting | None:
        """Return the token with this id, of any account, if it has a trust."""
        row = await self._pool.fetchrow(
            """
            select t.account_id, t.token_id, t.trust, clock_timestamp() as at
              from token t
             where t.token_id = $1 and t.trust is not null
             order by t.created_at
             limit 1""",
            token_id,
        )
        trust = None if row is None else trust_of(row["trust"])
        if row is None or trust is None:
            return None
        return Trusting(account=row["account_id"], id=row["token_id"], trust=trust, at=row["at"])

    async def _fetch_digests(self, wanted: list[tuple[bytes, ...]]) -> dict[tuple[bytes, ...], asyncpg.Record]:
        rows = await self._pool.fetch(
            f"""
            select s.digest, s.generation as presented, s.pepper_id, {COLUMNS}
              from unnest($1::bytea[]) as p(digest)
              join secret s on s.digest = p.digest
              join token t on (t.account_id, t.token_id) = (s.account_id, s.token_id)
              {token_context.joined("t")}""",
            list({digest: None for digests in wanted for digest in digests}),
        )
        found = {row["digest"]: row for row in rows}
        hits = {digests: [found[each] for each in digests if each in found] for digests in wanted}
        # An imported secret may open two tokens if it was imported as two digests. It belongs to the older one; if both
        # have the same age, to the one whose algorithm comes first.
        return {digests: min(each, key=_AGE) for digests, each in hits.items() if each}

    async def _fetch_ids(self, ids: list[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], asyncpg.Record]:
        rows = await self._pool.fetch(
            f"""
            select {COLUMNS}, {signing_keys.VERSION} as ring
              from unnest($1::uuid[], $2::uuid[]) as k(account_id, token_id)
              join token t on (t.account_id, t.token_id) = (k.account_id, k.token_id)
              {token_context.joined("t")}""",
            *zip(*ids, strict=True),
        )
        return {(row["account_id"], row["token_id"]): row for row in rows}


def seen_of(
    row: asyncpg.Record, presented: int | None, *, ring: int | None = None, pepper_id: int | None = None
) -> Seen:
    """Return what a row of this module's columns shows: the scopes are those that its owner leaves it."""
    context = token_context.context_of(row)
    return Seen(
        account=row["account_id"], id=row["token_id"], number=row["number"],
        owner=Owner(row["owner_type"], row["owner_id"]), scopes=context.left_of(words(row["scopes"])),
        status=row["status"], expires_at=row["expires_at"], generation=row["generation"],
        epoch=row["epoch"], previous_until=row["previous_until"], previous_epoch=row["previous_epoch"],
        bounds=_bounds(row), dialect=row["dialect"],
        created_at=row["created_at"], lifetime_start=row["lifetime_start"], thresholds=numbers(row["thresholds"]),
        at=row["at"], context=context, presented=presented, ring=ring, pepper_id=pepper_id,
    )  # fmt: skip


def _bounds(row: asyncpg.Record) -> Bounds:
    networks, rate_limit, max_uses = row["networks"], row["rate_limit"], row["max_uses"]
    if networks == "[]" and rate_limit is None and max_uses is None:
        return UNBOUNDED
    return Bounds(words(networks), rate_limit, max_uses)
