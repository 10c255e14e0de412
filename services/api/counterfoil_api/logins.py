"""Passwords and one-time codes tried in vain: who fails waits longer and longer, and makes nobody else wait.

Failures are counted for a person at a network: from the fifth on each doubles the wait there. And they are counted for
a person at all networks where that person never logged in: after fifty these share one turn at a time, further and
further apart, so that a thousand networks together do not guess more than one. Where the person was at home before,
strangers' failures change nothing. A hundred in a row leave one try a day.
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

from counterfoil.attempts import Attempts
from counterfoil.principal import NIL
from counterfoil.secret import Peppers
from counterfoil_api.addresses import Address, network_of
from counterfoil_api.complaints import RateLimited
from counterfoil_api.counting import CLEAR, NOTE, NOTED, RETURN, TURN
from counterfoil_api.tally import Tally

log = structlog.get_logger()

_DAY_MS: Final = 86_400_000
_AT_HOME_MS: Final = 90 * _DAY_MS
_MOST: Final = 100
_TOO_MANY: Final = "There were too many failed logins; come back when Retry-After is over."


@dataclass(frozen=True, slots=True)
class Delays:
    """From which failure on there is a wait, how long the first one is, and the longest."""

    free: int
    first_seconds: int
    longest_seconds: int

    @property
    def steps(self) -> tuple[int, ...]:
        """As the counter takes them; it forgets two days after the last failure."""
        return self.free, self.first_seconds * 1000, self.longest_seconds * 1000, _MOST, _DAY_MS, 2 * _DAY_MS


HERE: Final = Delays(free=5, first_seconds=15, longest_seconds=3_600)
"""A person at one network."""
ELSEWHERE: Final = Delays(free=50, first_seconds=1, longest_seconds=900)
"""A person at all networks where they never logged in."""


@dataclass(slots=True)
class Login:
    """One try: it has `passed` or `failed`, else it never was."""

    settled: bool | None = None
    account: UUID = NIL
    user: UUID = NIL

    def passed(self) -> None:
        """Password and code were right."""
        self.settled = True

    def failed(self, account: UUID = NIL, user: UUID = NIL) -> None:
        """One of them was not; whose they were, if anybody's."""
        self.settled, self.account, self.user = False, account, user


class Logins:
    """Gives turns to those who log in: `async with logins.turn(email, address) as login`."""

    def __init__(self, tally: Tally, peppers: Peppers, attempts: Attempts) -> None:
        self._tally = tally
        self._peppers = peppers
        self._attempts = attempts
        self._lines: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, email: str, address: Address | None) -> AsyncIterator[Login]:
        """One try for whoever says that they have this e-mail address, or RateLimited before anything is computed.

        It counts as failed until it has passed, so that tries side by side are no more than tries in a row. Those of
        one person at one network queue up here: twenty right passwords at once are no failure.
        """
        network = network_of(address)
        person = self._peppers.hmac(b"login", email.strip().lower().encode()).hex()[:32]
        here, elsewhere, home = f"here:{person}:{network}", f"elsewhere:{person}", f"home:{person}:{network}"
        line = self._lines.setdefault(here, Lock())
        async with line:
            (at_home,) = await self._tally.do(NOTED, home)
            waits = await self._granted([here] if at_home else [here, elsewhere], network)
            login = Login()
            try:
                yield login
            finally:
                await self._settle(login, waits, home, network)

    async def _granted(self, keys: list[str], network: str) -> dict[str, int]:
        """The turns that were taken, and how long the next one will wait; all of them or none."""
        waits: dict[str, int] = {}
        for key, delays in zip(keys, (HERE, ELSEWHERE), strict=False):
            granted, _, wait = await self._tally.do(TURN, key, *delays.steps)
            if not granted:
                for taken in waits:
                    await self._tally.do(RETURN, taken)
                self._attempts.note(NIL, "login-limited", network=network)
                raise RateLimited(_TOO_MANY, retry_after=max(ceil(wait / 1000), 1))
            waits[key] = wait
        return waits

    async def _settle(self, login: Login, waits: dict[str, int], home: str, network: str) -> None:
        if login.settled is False:
            self._attempts.note(login.account, "login-failed", login.user, network=network)
            if seconds := max(waits.values()) // 1000:
                log.warning("login_slowed", user_id=login.user, network=network, seconds=seconds)
            return
        for key in waits:
            await self._tally.do(CLEAR if login.settled else RETURN, key)
        if login.settled:
            await self._tally.do(NOTE, home, _AT_HOME_MS)
