"""Which texts may be a secret: ours by their form and checksum; those from elsewhere only once some were imported."""

import asyncio
from time import monotonic
from typing import Final

from counterfoil.foreign import Algorithm, ForeignSecret, could_be_foreign
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.foreign import algorithms
from counterfoil.secret import Secret, recognised

_TRUE_SECONDS: Final = 1.0
"""For so long a process believes that nothing more was imported; imports of a new kind are answered after that."""


class Recognition:
    """Recognises secrets; what cannot be one is refused before the database is asked for it.

    Until something is imported the database is asked only whether something was, at most once a second.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._since: dict[Algorithm, float] = {}
        self._true_until = 0.0
        self._asking = asyncio.Lock()

    async def of(self, plain: str) -> Secret | ForeignSecret | None:
        """Return the secret that a text may be."""
        if own := recognised(plain):
            return own
        if not could_be_foreign(plain):
            return None
        known = await self._known()
        return ForeignSecret(plain, known) if known else None

    async def settled(self, algorithm: Algorithm) -> None:
        """Return when every process knows that secrets of this kind were imported, which is so for good."""
        while algorithm not in self._since:
            self._true_until = 0.0
            await self._known()
        if (left := self._since[algorithm] + _TRUE_SECONDS - monotonic()) > 0:
            await asyncio.sleep(left)

    async def _known(self) -> tuple[Algorithm, ...]:
        if monotonic() >= self._true_until:
            async with self._asking:
                if (now := monotonic()) >= self._true_until:
                    found = await algorithms(self._pool)
                    # From before the question on: what was imported since is not in the answer.
                    self._true_until = now + _TRUE_SECONDS
                    self._since |= dict.fromkeys((each for each in found if each not in self._since), monotonic())
        return tuple(sorted(self._since))
