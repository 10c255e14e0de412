"""So many in so much time: what is left of it, and how that is said (draft-ietf-httpapi-ratelimit-headers-10)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Final
from uuid import UUID

from counterfoil.core.bounds import UNLIMITED, Limits, rate
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import UsesExhausted
from counterfoil.uses.attempts import Attempts
from counterfoil.uses.counted_uses import CountedUses
from counterfoil_api.http import added_headers
from counterfoil_api.http.addresses import Address, network_of
from counterfoil_api.http.errors import RateLimited
from counterfoil_api.http.problems import kind_of
from counterfoil_api.limits.counters import Tally
from counterfoil_api.limits.counting import GIVE_BACK, TAKE
from counterfoil_api.limits.expiring_map import ExpiringMap

POLICY: Final = "principal"
TOKEN_POLICY: Final = "token"  # noqa: S105 - the name of a policy
OWNER_POLICY: Final = "owner"
"""The names of the policies that callers are told about: the installation's, their token's, and that of its owner."""
_MOST_FULL: Final = 10_000


@dataclass(frozen=True, slots=True)
class Quota:
    """At most so many in a window that begins with the first of them."""

    most: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a quota after one was asked for, and in how many seconds all of it is there again."""

    granted: bool
    most: int
    seconds: float

    @property
    def whole_seconds(self) -> int:
        """Rounded up: who comes back after so many finds it open."""
        return max(ceil(self.seconds), 1)


class Quotas:
    """Takes from quotas, each known by its key."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self._used_up: ExpiringMap[str, Quota] = ExpiringMap(_MOST_FULL)

    async def take(self, key: str, quota: Quota, *, cost: int = 1) -> Left:
        """Take one, if there is one: not one more than there are, over all processes."""
        # What is used up stays so until its window ends: nobody need ask about each of a flood.
        # Unless another quota is asked for by now: a token's limit may have been changed.
        if self._used_up.get(key) == quota and (seconds := self._used_up.left(key)):
            return Left(granted=False, most=0, seconds=seconds)
        granted, left, ms = await self.tally.do(TAKE, key, quota.most, quota.seconds * 1000, cost)
        if not granted and cost == 1:
            self._used_up.keep(key, value=quota, seconds=ms / 1000)
        return Left(granted=bool(granted), most=left, seconds=ms / 1000)

    async def give_back(self, key: str) -> None:
        """Return one that was taken for nothing."""
        self._used_up.drop(key)
        await self.tally.do(GIVE_BACK, key, 1)


class Allowance:
    """How many requests each user and each token may make; without a quota, as many as they like.

    A token may have limits of its own beside that of the installation, and its owner a quota: all of them hold.
    """

    def __init__(self, quotas: Quotas, quota: Quota | None, attempts: Attempts, uses: CountedUses) -> None:
        self._quotas = quotas
        self._quota = quota
        self._attempts = attempts
        self._uses = uses

    async def spend(self, asker: Principal, address: Address | None) -> None:
        """Count a request of this caller, or raise RateLimited or UsesExhausted; a bearer counts as its token."""
        if self._quota is not None:
            with self._noting(asker.account, asker.actor.id, address):
                await self._spend(f"asks:{asker.actor.id}", self._quota)
        limits = Limits(asker.bounds.rate_limit, asker.bounds.max_uses, asker.quota)
        await self.spend_by_token(asker.account, asker.actor.id, limits, address)

    async def spend_by_token(self, account: UUID, token: UUID, limits: Limits, address: Address | None) -> None:
        """Count a request against a token's own limits and its owner's quota alone."""
        if limits == UNLIMITED:
            return
        with self._noting(account, token, address):
            if limits.rate_limit is not None:
                await self._spend(f"token:{token}", Quota(*rate(limits.rate_limit)), TOKEN_POLICY)
            if (quota := limits.quota) is not None and quota.rate_limit is not None:
                await self._spend(f"owner:{quota.id}", Quota(*rate(quota.rate_limit)), OWNER_POLICY)
            # The uses last: who comes too often loses none of them.
            await self._uses.count(account, token, limits)

    async def use(self, account: UUID, token: UUID, limits: Limits) -> None:
        """Count a use of a token about which somebody asks, or raise UsesExhausted; its rates are those of callers."""
        if limits != UNLIMITED:
            await self._uses.count(account, token, limits)

    async def spend_by_secret(self, digest: bytes) -> None:
        """Count a request of whoever holds this secret, before anybody knows whose it is."""
        if self._quota is not None:
            await self._spend(f"buys:{digest.hex()[:32]}", self._quota)

    @contextmanager
    def _noting(self, account: UUID, subject: UUID, address: Address | None) -> Iterator[None]:
        try:
            yield
        except (RateLimited, UsesExhausted) as refusal:
            self._attempts.note(account, kind_of(refusal).name, subject, network=network_of(address))
            raise

    async def _spend(self, key: str, quota: Quota, policy: str = POLICY) -> None:
        left = await self._quotas.take(key, quota)
        said = {
            "RateLimit-Policy": f'"{policy}";q={quota.most};w={quota.seconds}',
            "RateLimit": f'"{policy}";r={left.most};t={left.whole_seconds}',
        }
        added_headers.add(said)
        if not left.granted:
            raise RateLimited(retry_after=left.whole_seconds)
