"""Checks the callers of open streams repeatedly: when a credential ends, its streams end.

A stream continues as long as a new request with the same credential from the same address would be allowed to read
the same. Changes of other scopes, of rate limits or to a later expiry end nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from counterfoil.core.bounds import UNBOUNDED, Address, admits
from counterfoil.core.caller_recheck import TokenCaller, UserCaller
from counterfoil.core.principal import Actor, Principal
from counterfoil.core.refusals import CallerGone, NetworkForbidden, Refusal, TokenNetworkForbidden
from counterfoil.core.subjects.token.acceptance import ALONE, Context
from counterfoil.postgres import caller_recheck
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.liveness import database_time
from counterfoil.uses.bearers import KeyRing
from counterfoil.uses.signing_keys import Keys

Key = tuple[UUID, UUID]

READS_LOG: Final = "audit.read"
READS_USERS: Final = "users.read"


@dataclass(frozen=True, slots=True)
class HeldCaller:
    """The caller of a stream, with their address and only the scopes that the stream needs."""

    principal: Principal
    address: Address | None

    @classmethod
    def of(cls, caller: Principal, address: Address | None, scopes: tuple[str, ...]) -> HeldCaller:
        """Return the caller of a stream that needs these scopes."""
        # A token's expiry may have moved since; a bearer token's is fixed.
        expires_at = caller.expires_at if caller.signed_with else None
        return cls(replace(caller, scopes=scopes, bounds=UNBOUNDED, expires_at=expires_at), address)

    @property
    def parts(self) -> Iterator[Principal]:
        """The caller, and the actors of the caller's bearer token."""
        yield self.principal
        for token, generation in self.principal.acting:
            yield Principal(
                actor=Actor("token", token), account=self.principal.account, scopes=(), generation=generation
            )  # fmt: skip


async def gone(pool: Pool, keys: Keys, held: Sequence[HeldCaller]) -> list[Refusal | None]:
    """Return for each caller the refusal, or None if access continues, with one query for all."""
    asking = [part for each in held for part in each.parts]
    async with pool.acquire() as connection:
        accounts, *_ = await caller_recheck.accounts(connection, {each.principal.account for each in held})
        found = await caller_recheck.caller_states(connection, asking, ())
    at = await database_time(pool)
    ring = await keys.ring()
    return [_why_gone(each, found, accounts, ring=ring, at=at) for each in held]


def _why_gone(
    caller: HeldCaller, found: Mapping[Key, TokenCaller | UserCaller], accounts: Mapping[UUID, Context], *,
    ring: KeyRing, at: datetime,
) -> Refusal | None:  # fmt: skip
    principal = caller.principal
    if principal.signed_with and principal.signed_with not in ring.verifying:
        return CallerGone()
    if not accounts.get(principal.account, ALONE).policy.admits(caller.address):
        return NetworkForbidden()
    try:
        for part in caller.parts:
            state = found.get((part.account, part.actor.id))
            if state is None:
                return CallerGone()
            if isinstance(state, TokenCaller):
                networks = state.token.bounds.networks
                if not admits(networks, caller.address):
                    return TokenNetworkForbidden()
                part = replace(part, bounds=state.token.bounds)  # noqa: PLW2901 - the networks are checked above
            state.refuse_reduced(part, at)
    except Refusal as refusal:
        return refusal
    return None
