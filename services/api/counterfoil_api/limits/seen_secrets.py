"""Which secrets the ledger has ever met: so that under attack, those who are known need not queue with those who guess.

A mark opens nothing. It lets a secret be looked up, exactly as always, although so many unknown ones came from the same
network that no other is. Each process marks what it meets; once a second what is new is told to all, as bits of a Bloom
filter in Valkey (1 MiB a week, however many secrets) that are drawn from the secret's keyed digest.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Final

from counterfoil.core.credentials import SecretGiven
from counterfoil_api.limits.counters import Tally
from counterfoil_api.limits.counting import MARK, MARKED
from counterfoil_api.limits.expiring_map import ExpiringMap
from counterfoil_api.limits.known import plain_hash

_KEY: Final = "met:"
_BITS: Final = 23
_PROBES: Final = 4
_PULSE_SECONDS: Final = 1
_AGAIN_SECONDS: Final = 86_400.0
"""After so long a mark is told anew, into the filter of the week that has come."""
_MOST: Final = 100_000
_AT_ONCE: Final = 250


class Marks:
    """What this process has met, and what all have."""

    def __init__(self, tally: Tally, digest: Callable[[SecretGiven], bytes]) -> None:
        self._tally = tally
        self._digest = digest
        # By Python's own hash: nothing here leads to a secret, and a request is spared another HMAC.
        self._met: ExpiringMap[int, bool] = ExpiringMap(_MOST)
        self._untold: dict[bytes, None] = {}

    def met(self, given: SecretGiven) -> None:
        """Mark a secret that the ledger knows, good or dead, or that is about to be shown."""
        key = plain_hash(given)
        if self._met.get(key) is None:
            self._met.keep(key, value=True, seconds=_AGAIN_SECONDS)
            if len(self._untold) < _MOST:
                self._untold[self._digest(given)] = None

    async def knows(self, given: SecretGiven) -> bool:
        """Say whether any process has met this secret in the last week; it may have been another with the same bits."""
        if self._met.get(plain_hash(given)):
            return True
        (marked,) = await self._tally.do(MARKED, _KEY, *_bits(self._digest(given)))
        return bool(marked)

    async def tell(self) -> None:
        """Tell all processes of what is new."""
        while self._untold:
            part = list(islice(self._untold, _AT_ONCE))
            for digest in part:
                del self._untold[digest]
            await self._tally.do(MARK, _KEY, *(bit for digest in part for bit in _bits(digest)))

    @asynccontextmanager
    async def telling(self) -> AsyncIterator["Marks"]:
        """Tell once a second, and a last time."""

        async def keep_telling() -> None:
            while True:
                await asyncio.sleep(_PULSE_SECONDS)
                await self.tell()

        task = asyncio.create_task(keep_telling())
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.tell()


def _bits(digest: bytes) -> list[int]:
    return [int.from_bytes(digest[4 * i : 4 * i + 4], "big") >> (32 - _BITS) for i in range(_PROBES)]
