"""Owners that vendors call an application or a zone: one is there once a token ever belonged to it."""

from math import inf
from typing import Final
from uuid import UUID

from counterfoil.core.principal import Owner
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.listing import owner_known
from counterfoil_api.limits.expiring_map import ExpiringMap

_MOST: Final = 10_000


class Owners:
    """Knows owners by their tokens. What is known stays so, tokens being never removed, and is not asked for again."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: ExpiringMap[tuple[UUID, Owner], bool] = ExpiringMap(_MOST)

    async def known(self, account: UUID, owner: Owner) -> bool:
        """Say whether any token of the account ever belonged to this owner."""
        if self._known.get((account, owner)):
            return True
        found = await owner_known(self._pool, account, owner)
        if found:
            self._known.keep((account, owner), value=True, seconds=inf)
        return found
