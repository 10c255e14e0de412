"""Remembers the secrets that the ledger has seen, so that they need not queue behind guesses during an attack.

A known secret is looked up as always, also while its network has sent so many unknown secrets that other secrets from
there are refused; it gains nothing else. Each process remembers what it sees, and once a second shares what is new as
bits of a Bloom filter in Valkey (1 MiB a week, however many secrets). The bits come from the secret's keyed digest.
"""

from typing import Final, Self

from counterfoil.core.credentials import SecretGiven
from counterfoil.core.secret import Peppers
from counterfoil.uses.write_behind import WriteBehind
from counterfoil_api.limits.counters import Counters
from counterfoil_api.limits.counting import MARK, MARKED
from counterfoil_api.limits.credential_digests import digest_of, plain_hash
from counterfoil_api.limits.expiring_map import ExpiringMap

_KEY: Final = "met:"
_BITS: Final = 23
_PROBES: Final = 4
_AGAIN_SECONDS: Final = 86_400.0
"""The interval after which a secret is shared again, for the filter of a new week."""
_MOST: Final = 100_000


class SeenSecrets:
    """Remembers secrets: `async with SeenSecrets(counters, peppers) as seen`, then `add(…)` and `knows(…)`."""

    def __init__(self, counters: Counters, peppers: Peppers) -> None:
        self._counters = counters
        self._peppers = peppers
        # By Python's own hash: nothing here leads to a secret, and a request is spared another HMAC.
        self._seen: ExpiringMap[int, bool] = ExpiringMap(_MOST)
        self._unshared: WriteBehind[bytes, None] = WriteBehind(
            self._share, merge=lambda *_: None, name="seen_secrets", key_limit=_MOST
        )

    async def __aenter__(self) -> Self:
        await self._unshared.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._unshared.__aexit__()

    def add(self, given: SecretGiven) -> None:
        """Remember a secret that the ledger knows, valid or not, or that is about to be shown."""
        key = plain_hash(given)
        if self._seen.get(key) is None:
            self._seen.keep(key, value=True, seconds=_AGAIN_SECONDS)
            self._unshared.add(digest_of(self._peppers, given), None)

    async def knows(self, given: SecretGiven) -> bool:
        """Say whether any process saw this secret in the last week; another secret may have the same bits."""
        if self._seen.get(plain_hash(given)):
            return True
        (marked,) = await self._counters.do(MARKED, _KEY, *_bits(digest_of(self._peppers, given)))
        return bool(marked)

    async def flush(self) -> None:
        """Share what is new now."""
        await self._unshared.flush()

    async def _share(self, digests: dict[bytes, None]) -> None:
        await self._counters.do(MARK, _KEY, *(bit for digest in digests for bit in _bits(digest)))


def _bits(digest: bytes) -> list[int]:
    return [int.from_bytes(digest[4 * i : 4 * i + 4], "big") >> (32 - _BITS) for i in range(_PROBES)]
