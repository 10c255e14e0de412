"""Delays logins after wrong passwords and one-time codes, without delaying other people.

Each failure for a user at one network, from the fifth on, doubles the wait there. Failures at all networks where the
user never logged in are also counted together: from the fiftieth on, these networks share one attempt at a time, at
growing intervals, so that a thousand networks guess no more than one. After a hundred failures in a row, one attempt a
day is left. Strangers elsewhere do not delay a network where the user has logged in.

A network that tries one password for many users is limited like a network that guesses secrets. Attempts that are
refused because too many wait in a queue count as well. This limit does not apply where the user has logged in before.
"""

from asyncio import Lock
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from counterfoil.core.emails import canonical
from counterfoil.core.principal import NIL
from counterfoil.core.secret import Peppers
from counterfoil.uses.attempts import Attempts
from counterfoil_api.auth.login_attempts import LoginAttempt
from counterfoil_api.http.addresses import Address, network_of, site_of
from counterfoil_api.http.errors import RateLimited
from counterfoil_api.limits.counting import CLEAR, NOTE, NOTED, RETURN, TURN
from counterfoil_api.limits.expiring_map import ExpiringMap
from counterfoil_api.limits.quotas import Quota, Quotas

log = structlog.get_logger()

_DAY_MS: Final = 86_400_000
_AT_HOME_MS: Final = 90 * _DAY_MS
_MOST: Final = 100
_MOST_HOMES: Final = 100_000
_TOO_MANY: Final = "Too many logins failed; wait as long as Retry-After says."


@dataclass(frozen=True, slots=True)
class Delays:
    """After how many failures a wait begins, and its first and longest duration."""

    free: int
    first_seconds: int
    longest_seconds: int

    @property
    def steps(self) -> tuple[int, ...]:
        """The arguments of TURN; the counter expires two days after the last failure."""
        return self.free, self.first_seconds * 1000, self.longest_seconds * 1000, _MOST, _DAY_MS, 2 * _DAY_MS


_QUEUE_LIMIT: Final = 32
HERE: Final = Delays(free=5, first_seconds=15, longest_seconds=3_600)
"""For a user at one network."""
ELSEWHERE: Final = Delays(free=50, first_seconds=1, longest_seconds=900)
"""For a user at all networks where they never logged in."""


class _Queue:
    """The login attempts for one user from one network, one after the other."""

    def __init__(self) -> None:
        self.turn = Lock()
        self.length = 0


class Logins:
    """Admits login attempts: `async with logins.turn(account, email, address) as login`."""

    def __init__(self, quotas: Quotas, peppers: Peppers, attempts: Attempts, guesses: Quota | None) -> None:
        self._quotas = quotas
        self._counters = quotas.counters
        self._guesses = guesses
        self._peppers = peppers
        self._attempts = attempts
        self._queues: WeakValueDictionary[str, _Queue] = WeakValueDictionary()
        self._homes: ExpiringMap[str, bool] = ExpiringMap(_MOST_HOMES)

    @asynccontextmanager
    async def turn(self, account: UUID, email: str, address: Address | None) -> AsyncIterator[LoginAttempt]:
        """Admit one attempt to log in as this user, or raise RateLimited before anything is computed.

        It counts as failed until it has succeeded, so that concurrent attempts gain nothing. Attempts for one user at
        one network wait for each other here, so that twenty right passwords at once are no failure.
        """
        network = network_of(address)
        person = self._peppers.hmac(b"login", account.bytes + canonical(email).encode(errors="replace")).hex()[:32]
        here, home = f"here:{person}:{network}", f"home:{person}:{network}"
        queue = self._queues.setdefault(here, _Queue())
        if queue.length >= _QUEUE_LIMIT:
            raise RateLimited(_TOO_MANY, retry_after=1)
        async with _place(queue):
            waits: dict[str, int] = {}
            at_home, site = await self._is_home(home), site_of(address)
            login = LoginAttempt(here if at_home else site, at_home)
            try:
                if not at_home:  # first, since it is the cheapest check during a flood
                    await self._take_of_network(waits, f"logins:{site}")
                await self._take(waits, here, HERE)
                if not at_home:
                    await self._take(waits, f"elsewhere:{person}", ELSEWHERE)
                yield login
            except RateLimited:
                self._attempts.note(NIL, "login-limited", network=network)
                raise
            finally:
                await self._count(login, waits, home, network)

    async def _is_home(self, home: str) -> bool:
        """Say whether the user has logged in there; this process remembers it even without Valkey."""
        if self._homes.get(home):
            return True
        (noted,) = await self._counters.do(NOTED, home)
        if noted:
            self._homes.keep(home, value=True, seconds=_AT_HOME_MS / 1000)
        return bool(noted)

    async def _take(self, waits: dict[str, int], key: str, delays: Delays) -> None:
        """Take a turn, and remember how long the next one will wait."""
        granted, _, wait = await self._counters.do(TURN, key, *delays.steps)
        if not granted:
            raise RateLimited(_TOO_MANY, retry_after=max(ceil(wait / 1000), 1))
        waits[key] = wait

    async def _take_of_network(self, waits: dict[str, int], key: str) -> None:
        if self._guesses is None:
            return
        left = await self._quotas.take(key, self._guesses)
        if not left.granted:
            raise RateLimited(_TOO_MANY, retry_after=left.whole_seconds)
        waits[key] = 0

    async def _count(self, login: LoginAttempt, waits: dict[str, int], home: str, network: str) -> None:
        if login.crowded:
            self._attempts.note(NIL, "login-limited", network=network)
        if login.succeeded is False:
            self._attempts.note(login.account, "login-failed", login.user, network=network)
            if seconds := max(waits.values()) // 1000:
                log.warning("login_slowed", user_id=login.user, network=network, seconds=seconds)
            return
        for key in waits:
            if key.startswith("logins:"):
                if not login.crowded:
                    await self._quotas.give_back(key)
            else:
                await self._counters.do(CLEAR if login.succeeded else RETURN, key)
        if login.succeeded:
            self._homes.keep(home, value=True, seconds=_AT_HOME_MS / 1000)
            await self._counters.do(NOTE, home, _AT_HOME_MS)


@asynccontextmanager
async def _place(queue: _Queue) -> AsyncIterator[None]:
    queue.length += 1
    try:
        async with queue.turn:
            yield
    finally:
        queue.length -= 1
