"""Rate limits, and the headers that report them (draft-ietf-httpapi-ratelimit-headers-10)."""

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
from counterfoil_api.limits.counters import Counters
from counterfoil_api.limits.counting import GIVE_BACK, TAKE
from counterfoil_api.limits.expiring_map import ExpiringMap

POLICY: Final = "principal"
TOKEN_POLICY: Final = "token"  # noqa: S105 - the name of a policy
OWNER_POLICY: Final = "owner"
"""The names of the policies in the headers: those of the installation, of the token, and of its owner."""
_MOST_FULL: Final = 10_000


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `most` requests in a window of `seconds`, which begins with the first request."""

    most: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Left:
    """Whether a quota granted a request, how many requests are left, and in how many seconds the window ends."""

    granted: bool
    most: int
    seconds: float

    @property
    def whole_seconds(self) -> int:
        """The seconds, rounded up: after so long the quota grants a request."""
        return max(ceil(self.seconds), 1)


class Quotas:
    """Takes from quotas, each under its key."""

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self._used_up: ExpiringMap[str, Quota] = ExpiringMap(_MOST_FULL)

    async def take(self, key: str, quota: Quota, *, cost: int = 1) -> Left:
        """Take `cost`, if so many are left; all processes together take no more than there are."""
        # A quota that is used up stays so until its window ends, so that a flood sends no requests to Valkey. If a
        # token's limit was changed, the key has another quota, and Valkey counts again.
        if self._used_up.get(key) == quota and (seconds := self._used_up.left(key)):
            return Left(granted=False, most=0, seconds=seconds)
        granted, left, ms = await self.counters.do(TAKE, key, quota.most, quota.seconds * 1000, cost)
        if not granted and cost == 1:
            self._used_up.keep(key, value=quota, seconds=ms / 1000)
        return Left(granted=bool(granted), most=left, seconds=ms / 1000)

    async def give_back(self, key: str) -> None:
        """Return a request that was not used."""
        self._used_up.drop(key)
        await self.counters.do(GIVE_BACK, key, 1)


class Allowance:
    """Limits the requests of each user and token; without a quota they are unlimited.

    A token may have its own limits in addition to the installation's, and its owner a quota: all of them apply.
    """

    def __init__(self, quotas: Quotas, quota: Quota | None, attempts: Attempts, uses: CountedUses) -> None:
        self._quotas = quotas
        self._quota = quota
        self._attempts = attempts
        self._uses = uses

    async def spend(self, caller: Principal, address: Address | None) -> None:
        """Count a request of this caller, or raise RateLimited or UsesExhausted; a bearer counts as its token."""
        if self._quota is not None:
            with self._noting(caller.account, caller.actor.id, address):
                await self._spend(f"asks:{caller.actor.id}", self._quota)
        limits = Limits(caller.bounds.rate_limit, caller.bounds.max_uses, caller.quota)
        await self.spend_by_token(caller.account, caller.actor.id, limits, address)

    async def spend_by_token(self, account: UUID, token: UUID, limits: Limits, address: Address | None) -> None:
        """Count a request against a token's own limits and its owner's quota alone."""
        if limits == UNLIMITED:
            return
        with self._noting(account, token, address):
            if limits.rate_limit is not None:
                await self._spend(f"token:{token}", Quota(*rate(limits.rate_limit)), TOKEN_POLICY)
            if (quota := limits.quota) is not None and quota.rate_limit is not None:
                await self._spend(f"owner:{quota.id}", Quota(*rate(quota.rate_limit)), OWNER_POLICY)
            # Uses come last: a request beyond a rate costs no use.
            await self._uses.count(account, token, limits)

    async def use(self, account: UUID, token: UUID, limits: Limits) -> None:
        """Count a use of a token that is verified, or raise UsesExhausted; rates apply to callers only."""
        if limits != UNLIMITED:
            await self._uses.count(account, token, limits)

    async def spend_by_secret(self, digest: bytes) -> None:
        """Count a request with this secret, before the secret is looked up."""
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
        headers = {
            "RateLimit-Policy": f'"{policy}";q={quota.most};w={quota.seconds}',
            "RateLimit": f'"{policy}";r={left.most};t={left.whole_seconds}',
        }
        added_headers.add(headers)
        if not left.granted:
            raise RateLimited(retry_after=left.whole_seconds)
