"""Owners that vendors call an application or a zone: they exist from their first token on."""

from math import inf
from typing import Final
from uuid import UUID

from counterfoil.core.principal import Owner
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.listing import owner_known
from counterfoil_api.limits.expiring_map import ExpiringMap

_MOST: Final = 10_000


class Owners:
    """Finds owners by their tokens. The ledger never deletes a token, so a found owner is cached for ever."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: ExpiringMap[tuple[UUID, Owner], bool] = ExpiringMap(_MOST)

    async def known(self, account: UUID, owner: Owner) -> bool:
        """Say whether this owner has or had a token in the account."""
        if self._known.get((account, owner)):
            return True
        found = await owner_known(self._pool, account, owner)
        if found:
            self._known.keep((account, owner), value=True, seconds=inf)
        return found
